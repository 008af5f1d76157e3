"""One sentence for what was mistyped, with the nearest right word: Hydra's and OmegaConf's own answers, said in ours."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable
from importlib import resources
from typing import Any

from pirig.config.domains import leaves, unwrapped
from pirig.config.names import near
from pirig.config.schema import Config
from pirig.config.texts import type_of

KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
SHOWN = 3
SEE = "`pirig train --help` shows every group, option and key"


@functools.cache
def keys() -> tuple[str, ...]:
    """Every dotted key of the schema."""
    return tuple(sorted({key for key, _, _ in leaves(Config)}))


@functools.cache
def groups() -> dict[str, tuple[str, ...]]:
    """The folders of conf/ with the options in them."""
    folders = [folder for folder in resources.files("pirig.conf").iterdir() if folder.is_dir()]
    return {
        folder.name: tuple(sorted(file.name[:-5] for file in folder.iterdir() if file.name.endswith(".yaml")))
        for folder in folders
        if folder.name not in ("hydra", "__pycache__")
    }


def unknown_key(key: str) -> str:
    return f"{key}: there is no such key{_meant(key, nearest_keys(key))}"


def nearest_keys(key: str) -> list[str]:
    """Of the schema's keys and groups, the ones that were probably meant: by the whole, or by the last name."""
    last = key.rpartition(".")[2]
    same = [known for known in keys() if known.rpartition(".")[2] == last]
    close = difflib.get_close_matches(key, [*keys(), *groups()], n=SHOWN, cutoff=0.7)
    names = difflib.get_close_matches(last, {known.rpartition(".")[2] for known in keys()}, n=1, cutoff=0.8)
    like = [known for known in keys() if known.rpartition(".")[2] in names]
    return list(dict.fromkeys([*same, *close, *like]))[:SHOWN]


def no_assignment(word: str) -> str:
    """Of a word without `=` where key=value is expected."""
    homes = [group for group, options in groups().items() if word in options]
    if homes:
        return f"{word}: expected key=value; did you mean {homes[0]}={word}?"
    if word.startswith("-"):
        return f"{word}: there is no such option; {SEE}."
    return f"{word}: expected key=value or group=option; {SEE}."


def sentence(error: Exception) -> str:
    """Of an exception of Hydra or OmegaConf."""
    cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
    text = str(error)
    if match := re.match(r"In '([^']+)': \w+ raised while composing config:\n(.*)", text, re.DOTALL):
        return _in_file(match[1], match[2])
    if match := re.match(r"Could not append to config\. An item is already at '([^']+)'", text):
        return f"+{match[1]}: the key is there already; leave out the +."
    if match := re.search(r"Could not find '(\w+)/([^']+)'", text):
        return unknown_option(match[1], match[2], getattr(error, "options", None) or groups().get(match[1], ()))
    if match := re.match(r"Error parsing override '(.*?)'\n(.*)", text, re.DOTALL):
        return _grammar(match[1], match[2].splitlines()[0])
    if match := re.match(r"Lexer\w+: (.*)", text):
        return _grammar(match[1], "a letter that has no meaning here")
    if match := re.search(r"(?:Could not override|Could not delete from config[^']*) '([^']+)'", text):
        return f"{_path(cause) or match[1]}: there is no such key{_meant(match[1], nearest_keys(match[1]))}"
    if "not in" in str(cause) and (key := _path(cause)):
        return unknown_key(key)
    if (match := re.match(r"Error merging override ([^=]+)=(.*)", text)) and (
        said := _of_entry(match[1], match[2], str(cause))
    ):
        return said
    if (key := _path(cause)) and (kind := _kind(key)):
        value = re.search(r"[Vv]alue '(.*?)'", str(cause), re.DOTALL) or re.match(
            r"Error merging override [^=]*=(.*)", text
        )
        return f"{key}={value[1]}: expected {kind}." if value else f"{key}: expected {kind}."
    if match := re.match(r"Ambiguous value for argument '(.*?)'\n", text):
        return f"{match[1]}: several values; give one, a list in brackets, or -m for a run of each."
    return _line(text)


def _of_entry(key: str, value: str, cause: str) -> str:
    """Of a value for a section, or of an entry that is not there; "" where it is neither."""
    given = key.split(".")
    for names in (known.split(".") for known in keys()):
        if len(given) > len(names) or not all(
            name in ("<name>", word) for name, word in zip(names, given, strict=False)
        ):
            continue
        if len(given) < len(names):
            example = ".".join([*given, *names[len(given) :]]).replace("<name>", "NAME")
            return f"{key}={value}: {key} has keys of its own; give one of them, as in {example}=..."
        if "<name>" in names and "dict is not a subclass" in cause:
            section = ".".join(names[: names.index("<name>")])
            return f"{key}={value}: {section} has no such entry; `pirig train --cfg job --package {section}` shows those there."
    return ""


def _in_file(name: str, complaint: str) -> str:
    """Of a YAML of a user: which key of which file."""
    match = re.search(r"full_key: (\S+)", complaint)
    key = match[1] if match else ""
    if key == name.split("/")[0] and type_of(key) is None:
        return f"{name}.yaml: its first line must be `# @package _global_`, so that its keys are those of the whole config."
    if "not in" in complaint.splitlines()[0] and key:
        return f"{name}.yaml: {unknown_key(key)}"
    if key and (kind := _kind(key)):
        value = re.search(r"[Vv]alue '(.*?)'", complaint, re.DOTALL)
        return f"{name}.yaml: {key}{f'={value[1]}' if value else ''}: expected {kind}."
    if key in groups():
        return f"{name}.yaml: {key} is a group; choose it in its defaults list: `- override /{key}: NAME`."
    return f"{name}.yaml: {_line(complaint)}"


def unknown_option(group: str, option: str, options: Iterable[str]) -> str:
    options = list(options)
    nearest = near(option, options)
    return f"{group}={option}: expected one of {', '.join(options)}." + (
        f" Did you mean {group}={nearest}?" if nearest else ""
    )


def _grammar(word: str, complaint: str) -> str:
    if "=" not in word:
        return no_assignment(word)
    key, _, value = word.partition("=")
    if type_of(key) is None and key not in groups() and not key.startswith(("hydra", "+", "~")):
        return unknown_key(key)
    return (
        f"{word}: {value or 'nothing'} cannot be read ({complaint}); one value, a list [a,b], or with -m several: a,b."
    )


def _path(error: Any) -> str:
    key = getattr(error, "full_key", None)
    return str(key) if key else ""


def _kind(key: str) -> str:
    kind = type_of(re.sub(r"\[\d+\]$", "", key))
    if key.endswith("]") and getattr(kind, "__args__", None):
        kind = unwrapped(kind.__args__[0])[0]
    if kind in KINDS:
        return KINDS[kind]
    if names := getattr(kind, "__members__", None):
        return f"one of {', '.join(names)}"
    return "a list, as in [1,2]" if getattr(kind, "__origin__", None) is list else ""


def _meant(key: str, names: list[str]) -> str:
    names = [name for name in names if name != key]
    return f"; did you mean {', '.join(names)}?" if names else f"; {SEE}."


def _line(text: str) -> str:
    return " ".join(line.strip() for line in text.splitlines() if line.strip())
