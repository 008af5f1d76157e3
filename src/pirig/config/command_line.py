"""Words that users type, turned into words that Hydra accepts.

Hydra refuses numbers as option names, so the options are called `h20` and `fsdp8`; `horizon=20` and `fsdp=1,8` are what
people write; `weights=PATH` is `weights=local weights.path=PATH`. `experiment=x` works as it is. Hydra takes `-m` before
the overrides only; here it may stand anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, MutableMapping

from pirig.config.aliases import refuse_retired

MULTIRUN = ("-m", "--multirun")
PREFIXES = {"horizon": "h", "fsdp": "fsdp"}


def rewrite(arguments: list[str]) -> list[str]:
    """``["horizon=20", "fsdp=1,8"]`` -> ``["horizon=h20", "fsdp=fsdp1,fsdp8"]``; `-m` goes first; everything else unchanged.

    Raises ValueError on a key of an older version that says what is computed now.
    """
    refuse_retired(arguments)
    ordered = sorted(arguments, key=lambda argument: argument not in MULTIRUN)
    return [word for argument in ordered for word in _rewrite_one(argument)]


def _rewrite_one(argument: str) -> list[str]:
    match = re.fullmatch(r"(horizon|fsdp)=(\d+(?:,\d+)*)", argument)
    if match:
        group, values = match.groups()
        return [f"{group}=" + ",".join(PREFIXES[group] + value for value in values.split(","))]
    if re.fullmatch(r"weights=.*/.*", argument):  # a path or a bucket's address, not an option's name
        return ["weights=local", f"weights.path={argument.removeprefix('weights=')}"]
    return [argument]


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
