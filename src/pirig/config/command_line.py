"""Words that users type, turned into words that Hydra accepts.

Hydra refuses numbers as option names, so the options are called `h20` and `fsdp8`; `horizon=20` and `fsdp=1,8` are what
people write, with any whole number; `weights=PATH` is `weights=local weights.path=PATH`. `experiment=x` works as it is. Hydra
takes `-m` before the overrides only; here it may stand anywhere. `pair=` is an axis of a sweep whose values are several words
each, so that keys that belong together change together.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, MutableMapping, Sequence

from pirig.config.aliases import move_words, refuse_retired
from pirig.config.mixes import refuse_merged_tasks
from pirig.config.options import NUMBERED, option, require_known
from pirig.config.texts import for_hydra

MULTIRUN = ("-m", "--multirun")
FOLDERS_OF_USERS = ("--config-dir", "-cd", "hydra.searchpath", "+hydra.searchpath")
PAIR = "pair="


def rewrite(arguments: Sequence[str], sweep: bool = False) -> list[str]:
    """``["horizon=20", "fsdp=1,8"]`` -> ``["horizon=h20", "fsdp=fsdp1,fsdp8"]``; `-m` goes first; text is
    quoted as Hydra wants it; everything else unchanged. `sweep`: commas part values, as they do after `-m`.

    Raises ValueError on a number that a group cannot have, on a key of an older version that says what is computed now, and
    on `pair=` without alternatives.
    """
    refuse_retired(arguments)
    refuse_merged_tasks(arguments)
    sweep = sweep or any(word in MULTIRUN or word.lower() == "hydra.mode=multirun" for word in arguments)
    ordered = sorted(move_words(arguments), key=lambda argument: argument not in MULTIRUN)
    if sum(word.startswith(PAIR) for word in ordered) > 1:
        raise ValueError("several pair=: one of them holds all the alternatives, split by |; it is one axis.")
    words = [word for argument in ordered for word in _rewrite_one(argument, sweep)]
    if not any(word.startswith(FOLDERS_OF_USERS) for word in words):
        for group, values in _numbered(words):
            for value in values:
                require_known(group, value)
    return words


def _rewrite_one(argument: str, sweep: bool) -> list[str]:
    for group, values in _numbered([argument]):
        return [f"{group}=" + ",".join(option(group, value) for value in values)]
    if argument.startswith(PAIR):
        return _axis_of_pairs(argument)
    if re.fullmatch(r"weights=.*/.*", argument):  # a path or a bucket's address, not an option's name
        return ["weights=local", for_hydra(f"weights.path={argument.removeprefix('weights=')}", sweep)]
    return [for_hydra(argument, sweep)]


def _numbered(words: Iterable[str]) -> list[tuple[str, list[str]]]:
    """(group, values) of words such as horizon=8,12; Hydra's functions, as in horizon=range(8,16), are left to it."""
    matches = (re.fullmatch(rf"({'|'.join(NUMBERED)})=([^()]+)", word) for word in words)
    return [(match[1], [value.strip() for value in match[2].split(",")]) for match in matches if match]


def _axis_of_pairs(argument: str) -> list[str]:
    """pair='a=1 b=2 | a=3 b=4' as a choice of two quoted values, which Hydra takes; one alternative is its words."""
    text = argument.removeprefix(PAIR)
    if re.match(r"['\"]", text):
        return [argument]  # as it was made here
    alternatives = [alternative.strip() for alternative in text.split("|")]
    if not all(_is_of_words(alternative) for alternative in alternatives):
        raise ValueError(
            f"{argument}: expected alternatives of words, as in pair='model=pi0 weights=pi0_base | model=pi05 "
            "weights=pi05_base'."
        )
    if len(alternatives) == 1:
        return rewrite(shlex.split(alternatives[0]))
    return [PAIR + ",".join("'" + alternative.replace("'", r"\'") + "'" for alternative in alternatives)]


def _is_of_words(alternative: str) -> bool:
    words = shlex.split(alternative)
    return bool(words) and all(re.match(r"[+~]{0,2}[\w/@.]+=", word) for word in words)


def words_of_point(words: Iterable[str]) -> list[str]:
    """The words of a point of a sweep, with those of its pairs."""
    plain: list[str] = []
    for word in words:
        quoted = re.fullmatch(rf"{PAIR}(['\"])(.*)\1", word)
        plain += shlex.split(quoted[2].replace(r"\'", "'")) if quoted else [word]
    return rewrite(plain)


def completes_verb(environ: MutableMapping[str, str], verbs: Iterable[str]) -> list[str]:
    """Verbs that the shell may complete; [] where one is there already, and then Hydra is shown the line without it."""
    line, point = environ.get("COMP_LINE", ""), environ.get("COMP_POINT", "")
    words = line.split()
    done = words[1:] if line.endswith(" ") else words[1:-1]
    verb = next((word for word in done if word in set(verbs)), None)
    if verb is None:
        return [name for name in verbs if not words[1:] or name.startswith(words[-1]) or line.endswith(" ")]
    environ["COMP_LINE"] = line.replace(f" {verb}", "", 1)
    if point.isdigit():
        environ["COMP_POINT"] = str(int(point) - len(verb) - 1)
    return []
