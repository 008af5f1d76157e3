"""Looks into an .npz without decompressing its arrays."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Header(NamedTuple):
    shape: tuple[int, ...]
    dtype: np.dtype


def headers(path: Path) -> dict[str, Header]:
    """Shape and type of every array. Raises ValueError with a sentence where the file is truncated or no .npz."""
    try:
        with zipfile.ZipFile(path) as archive:
            heads = {name.removesuffix(".npy"): _header(archive, name) for name in archive.namelist()}
    except (zipfile.BadZipFile, ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path}: truncated or not an .npz file ({error}); make it again") from error
    for name, head in heads.items():
        if head.dtype.hasobject:
            raise ValueError(f"{path}: {name} holds Python objects; expected numbers; save it as an array of numbers")
    return heads


def require_numbers(path: Path, heads: dict[str, Header], names: Iterable[str]) -> None:
    """Raises ValueError where one of these arrays, if it is there, holds no real numbers."""
    for name in names:
        if name in heads and heads[name].dtype.kind not in "fiub":
            raise ValueError(f"{path}: {name} is {heads[name].dtype}; expected numbers; make it again")


def _header(archive: zipfile.ZipFile, name: str) -> Header:
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    return Header(shape, dtype)
