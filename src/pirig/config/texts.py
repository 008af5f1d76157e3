"""Text goes through as it was typed: on the command line, in a YAML and in a saved config.

Hydra's grammar and YAML read 2026_11_25 as a number, `no` as false, a comma as the next value and refuse an apostrophe or an
umlaut. Where the schema says that a key holds text, the word is quoted before Hydra sees it, and a YAML's scalar is taken as it
stands there. A text that is wholly in quotes is what stands between them; null is none where a key may have none. With `-m` a
comma outside quotes and brackets parts two values.
"""

from __future__ import annotations

import functools
import os
import re
import sys
import typing
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, TextIO

import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf

from pirig.config.aliases import MOVED
from pirig.config.domains import hints_of, unwrapped
from pirig.config.schema import Config

PATHS = ("demos.path", "weights.path", "train.sample_weights", "run.root", "run.checkpoint", "size.tokenizer")
ASSIGNMENT = re.compile(r"([+~]{0,2})([A-Za-z_][\w.$-]*)=(.*)", re.DOTALL)
PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_/.-]*")  # Hydra reads it as text, but for these words
WORDS_OF_HYDRA = ("null", "true", "false", "nan", "inf")
SWEEPS = re.compile(r"(choice|glob|sort|shuffle|tag|extend_list|str)\(")  # Hydra's functions, of a sweep's values
INTERPOLATION = re.compile(r"\$\{[^{}]+\}")
QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)


@functools.cache
def type_of(key: str) -> Any:
    """What the schema says of a dotted key: str, list[str], int, a dataclass, ...; None where it has no such key, Any where
    it leaves it open."""
    key = MOVED.get(key, key)
    kind: Any = Config
    for name in key.split("."):
        if kind is Any:
            return Any
        if is_dataclass(kind):
            hint = hints_of(kind).get(name)
            kind = None if hint is None else unwrapped(hint)[0]
        else:
            kind = unwrapped(typing.get_args(kind)[1])[0] if typing.get_origin(kind) is dict else None
        if kind is None:
            return None
    return kind


def may_be_none(key: str) -> bool:
    """Whether null is a value of the key."""
    parent, _, name = key.rpartition(".")
    kind = type_of(parent) if parent else Config
    return is_dataclass(kind) and type(None) in typing.get_args(hints_of(kind)[name])


def is_list_of_text(kind: Any) -> bool:
    return typing.get_origin(kind) is list and unwrapped(typing.get_args(kind)[0])[0] is str


def for_hydra(word: str, sweep: bool = False) -> str:
    """The word of a command line in Hydra's grammar, where its key holds text; other words as they are.

    `sweep`: commas outside quotes and brackets part values.
    """
    match = ASSIGNMENT.fullmatch(word)
    kind = type_of(match[2]) if match else None
    if match is None or not (kind is str or is_list_of_text(kind)):
        return word
    sign, key, value = match.groups()
    if (not value and kind is not str) or (sweep and SWEEPS.match(value)) or (value == "null" and may_be_none(key)):
        return word
    values = [part.strip() for part in parts(value)] if sweep else [value]
    if len(values) > 1:
        _say_parted(key, values)
    return f"{sign}{key}=" + ",".join(_list(one) if kind is not str else _text(key, one) for one in values)


def _say_parted(key: str, values: list[str]) -> None:
    if any(" " in one.strip("'\"") and not QUOTED.fullmatch(one) for one in values):
        print(
            f"{key}: -m takes {len(values)} values, parted at each comma: {' | '.join(values)}. One text with a comma in it is "
            f"quoted twice: \"{key}='a, b'\"",
            file=sys.stderr,
        )


def _text(key: str, value: str) -> str:
    if QUOTED.fullmatch(value):
        return value
    if key in PATHS and value.startswith("~") and not Path(value).exists():
        value = os.path.expanduser(value)
    return quoted(value)


def _list(value: str) -> str:
    """[a, b] with each text in quotes; a bare name is a list of one, ${key} the list that is there."""
    if INTERPOLATION.fullmatch(value):
        return value
    if QUOTED.fullmatch(value):
        value = value[1:-1]
    inside = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    names = [name.strip() for name in parts(inside) if name.strip()]
    return "[" + ",".join(name if QUOTED.fullmatch(name) else quoted(name) for name in names) + "]"


def quoted(text: str) -> str:
    """A text so that Hydra reads it as just this text."""
    if PLAIN.fullmatch(text) and text.lower() not in WORDS_OF_HYDRA:
        return text
    text = re.sub(r"(\\*)'", r"\1\1\\'", text)
    text = re.sub(r"(\\+)$", r"\1\1", text)
    return f"'{text}'"


def parts(value: str) -> list[str]:
    """Parted at the commas that stand outside quotes and brackets. A quote begins at a part's start only: "don't" has none."""
    found, depth, start, place = [], 0, 0, 0
    while place < len(value):
        letter = value[place]
        quote = QUOTED.match(value, place) if not value[start:place].strip(" [") else None
        if quote:
            place = quote.end()
            continue
        depth += (letter in "[{(") - (letter in "]})")
        if letter == "," and depth <= 0:
            found.append(value[start:place])
            start, depth = place + 1, 0
        place += 1
    return [*found, value[start:]]


# --- YAML


def load(path: Path) -> DictConfig:
    """A saved config, with its texts as they stand there."""
    with open(path, encoding="utf-8") as file:
        config = OmegaConf.load(file)
        if not isinstance(config, DictConfig):
            return OmegaConf.create({})
        keep(config, "", file)
    return config


def keep(config: DictConfig, prefix: str, file: TextIO) -> None:
    """Puts the file's own words in place of the numbers, booleans and nulls that YAML made of them where a key holds text.

    `prefix`: the package of the file's keys, such as "task."; "" for the root.
    """
    changed = list(_misread(config, prefix, ()))
    if not changed:
        return
    file.seek(0)
    said = yaml.load(file, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    for keys in changed:
        node, words = config, said
        for key in keys[:-1]:
            node, words = node[key], words[str(key)]
        node[keys[-1]] = words[keys[-1]]


def _misread(node: Any, prefix: str, keys: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """The path of every scalar that is no text though its key holds text; null stays null."""
    for name, value in node.items_ex(resolve=False):
        kind = type_of(f"{prefix}{name}")
        if isinstance(value, DictConfig):
            if not value._is_none() and not value._is_interpolation():
                yield from _misread(value, f"{prefix}{name}.", (*keys, name))
        elif kind is str and isinstance(value, (bool, int, float)):
            yield (*keys, name)
        elif is_list_of_text(kind) and isinstance(value, ListConfig) and not value._is_none():
            yield from (
                (*keys, name, place) for place, item in enumerate(value) if isinstance(item, (bool, int, float))
            )
