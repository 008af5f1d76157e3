"""Looks into an .npz without decompressing its arrays; nothing is ever unpickled."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

UNREADABLE = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, RuntimeError, NotImplementedError)
LOCAL_HEADER, NAME_AT = b"PK\x03\x04", 30  # of a zip's first member


class Header(NamedTuple):
    shape: tuple[int, ...]
    dtype: np.dtype


def headers(path: Path, read: Iterable[str] | None = None) -> dict[str, Header]:
    """Shape and type of every array. Raises ValueError with a sentence where the file is truncated or no .npz, or where one of
    those that are `read` (None: any) holds Python objects or is not as long as its header says."""
    heads = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                if name in heads:
                    raise ValueError(f"{name} is there twice")
                heads[name], told_bytes = _header(archive, member)
                if not heads[name].dtype.hasobject and told_bytes != member.file_size:
                    raise ValueError(f"{name} holds {member.file_size} bytes, its header says {told_bytes}")
    except UNREADABLE as error:
        raise ValueError(f"{path}: truncated or not an .npz file ({error}); make it again") from error
    asked = heads if read is None else {name: heads[name] for name in read if name in heads}
    for name, head in asked.items():
        if head.dtype.hasobject:
            raise ValueError(
                f"{path}: {name} holds Python objects, which are not unpickled, since that can run any code; expected plain "
                "numbers or text; save it as an array of those"
            )
    return heads


def names(path: Path) -> list[str]:
    """Of its arrays; of a file that was cut off the first one's, [] where not even that can be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except UNREADABLE:
        with open(path, "rb") as file:
            start = file.read(NAME_AT + 256)
    length = int.from_bytes(start[26:28], "little")
    name = start[NAME_AT : NAME_AT + length].decode("utf-8", "replace")
    return [name.removesuffix(".npy")] if start.startswith(LOCAL_HEADER) and name else []


def require_numbers(path: Path, heads: dict[str, Header], names: Iterable[str]) -> None:
    """Raises ValueError where one of these arrays, if it is there, holds no real numbers."""
    for name in names:
        if name in heads and heads[name].dtype.kind not in "fiub":
            raise ValueError(f"{path}: {name} is {heads[name].dtype}; expected numbers; make it again")


def _header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[Header, int]:
    """And how many bytes the member has if that is true."""
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        size = file.tell()
    return Header(shape, dtype), size + math.prod(shape) * dtype.itemsize
