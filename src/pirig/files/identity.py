"""What a made thing was made from, kept beside it, and whether what lies there is what is asked for.

The table of the made things is in docs/decisions/0006-doors.md.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pirig.files.atomic import write_text

FILE_NAME = "identity.json"
SHOWN = 5  # differences in one message
WHOLE_BYTES, BLOCK_BYTES, BLOCKS = 4 << 20, 64 << 10, 16


@dataclass(frozen=True)
class Identity:
    """`made_from`: digests by name. `settings`: what else decides the result; None is as good as absent.

    `parts`: digests of its episodes in order, and `size`: how many are asked for; more of either at the end extends it.
    `code`: version of the step that makes it. `places` (where each source lay) and `adopted` are for people: not compared.
    """

    kind: str
    made_from: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[str, ...] = ()
    size: int = 0
    code: int = 1
    places: Mapping[str, str] = field(default_factory=dict)
    adopted: str = ""

    @property
    def digest(self) -> str:
        return digest_of(list(_compared(self).values()) + [self.parts, self.size])

    def save(self, path: Path) -> None:
        write_text(path, json.dumps(dataclasses.asdict(self), indent=1) + "\n")

    def keep(self, path: Path) -> None:
        """As `save`, but nothing where the folder cannot be written: a thing of somebody else's is adopted each time."""
        with contextlib.suppress(OSError):
            self.save(path)


@dataclass(frozen=True)
class Same:
    pass


@dataclass(frozen=True)
class Extends:
    """What lies there is the beginning of what is asked for."""

    there: int
    asked: int


@dataclass(frozen=True)
class Difference:
    key: str
    there: Any
    asked: Any

    def __str__(self) -> str:
        return f"{self.key}: {self.there!r} then, {self.asked!r} now"


@dataclass(frozen=True)
class Differs:
    differences: tuple[Difference, ...]

    def __str__(self) -> str:
        lines = [str(difference) for difference in self.differences[:SHOWN]]
        rest = len(self.differences) - SHOWN
        return "\n  ".join([*lines, *([f"and {rest} others"] if rest > 0 else [])])


Relation = Same | Extends | Differs


class IdentityError(ValueError):
    """What lies there is another thing than what is asked for."""


def load(path: Path) -> Identity | None:
    """None where there is no record, or one that cannot be read: then the thing is as one that was made before records."""
    try:
        plain = json.loads(path.read_text())
        known = {one.name for one in dataclasses.fields(Identity)}
        kept = {key: value for key, value in plain.items() if key in known}
        return Identity(**{**kept, "parts": tuple(kept.get("parts", ()))})
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def compare(asked: Identity, there: Identity) -> Relation:
    ours, theirs = _compared(asked), _compared(there)
    keys = dict.fromkeys([*theirs, *ours])
    differences = [
        Difference(key, theirs.get(key), ours.get(key)) for key in keys if _unlike(theirs.get(key), ours.get(key))
    ]
    differences += _of_parts(asked.parts, there.parts)
    if asked.size < there.size:
        differences.append(Difference("size", there.size, asked.size))
    if differences:
        return Differs(tuple(_placed(difference, asked, there) for difference in differences))
    if len(asked.parts) > len(there.parts):
        return Extends(len(there.parts), len(asked.parts))
    return Extends(there.size, asked.size) if asked.size > there.size else Same()


def _unlike(their: Any, our: Any) -> bool:
    """1 and 1.0 are one number, 1 and true are not."""
    return their != our or isinstance(their, bool) != isinstance(our, bool)


def require(asked: Identity, there: Identity, place: Path, remedy: str) -> Same | Extends:
    """Raises IdentityError that names what differs with both values, and the remedy."""
    relation = compare(asked, there)
    if isinstance(relation, Differs):
        what = f"the {asked.kind} there {_verb(asked.kind)} made from something else than what is asked for"
        raise IdentityError(f"{place}: {what}:\n  {relation}\n{remedy}")
    return relation


def move_away(place: Path) -> str:
    """The remedy where a thing may be made again: a command that moves it."""
    return f"To make it anew, move it away first: mv {shlex.quote(str(place))} {shlex.quote(str(place) + '.old')}"


def _verb(kind: str) -> str:
    return "were" if kind in ("demos", "norm stats", "labelled scenes") else "was"


def _compared(identity: Identity) -> dict[str, Any]:
    """Flat: everything but parts, size and what is for people."""
    plain = json.loads(json.dumps(dict(identity.settings), default=list))
    flat = dict(_flat(plain))
    sources = {name: value for name, value in identity.made_from.items() if value is not None}
    return {"kind": identity.kind, "code version": identity.code, **sources, **flat}


def _flat(plain: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key in sorted(plain):
        if isinstance(plain[key], dict):
            yield from _flat(plain[key], f"{prefix}{key}.")
        elif plain[key] is not None:
            yield prefix + key, plain[key]


def _of_parts(asked: tuple[str, ...], there: tuple[str, ...]) -> list[Difference]:
    """The first part of what is there that is not the one asked for."""
    for number, (our, their) in enumerate(zip(asked, there, strict=False)):
        if our != their:
            return [Difference(f"episode {number}", their, our)]
    if len(asked) < len(there):
        return [Difference("episodes", len(there), len(asked))]
    return []


def _placed(difference: Difference, asked: Identity, there: Identity) -> Difference:
    """With the place of a source beside its digest."""
    name = difference.key if difference.key in asked.made_from else "source"
    if not difference.key.startswith("episode ") and name not in asked.made_from:
        return difference
    said = [
        f"{value} ({one.places[name]})" if name in one.places else value
        for value, one in ((difference.there, there), (difference.asked, asked))
    ]
    return Difference(difference.key, *said)


def digest_of(value: Any) -> str:
    """16 hex digits of plain values."""
    text = json.dumps(value, sort_keys=True, default=list)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def digest_of_arrays(arrays: Mapping[str, Any]) -> str:
    """16 hex digits of numpy arrays, or what becomes one, by name, type, shape and bytes."""
    import numpy as np

    told = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        told.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return told.hexdigest()[:16]


def digest_of_tree(folder: Path, inside: Mapping[str, Path] | None = None) -> str:
    """Of the files of a folder by their names and contents, wherever it lies; hidden files do not count.

    A file above 4 MB counts by its size and 16 blocks of 64 kB, evenly spaced: enough to tell one set of weights from another,
    not to find a single damaged byte.
    """
    files = (
        dict(inside)
        if inside is not None
        else {
            str(file.relative_to(folder)): file
            for file in folder.rglob("*")
            if file.is_file() and not any(name.startswith(".") for name in file.relative_to(folder).parts)
        }
    )
    return digest_of([[name, _sampled(files[name])] for name in sorted(files)])


def _sampled(file: Path) -> str:
    size, digest = file.stat().st_size, hashlib.sha256()
    with open(file, "rb") as opened:
        if size <= WHOLE_BYTES:
            digest.update(opened.read())
        else:
            for number in range(BLOCKS):
                opened.seek((size - BLOCK_BYTES) * number // (BLOCKS - 1))
                digest.update(opened.read(BLOCK_BYTES))
    return f"{size} {digest.hexdigest()[:16]}"
