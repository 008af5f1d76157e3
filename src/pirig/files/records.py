"""Small JSON files that are ours, read back: a torn or foreign one is named, with what was expected and what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REMEDY = "repair or move that file"


def read_record(path: Path, *keys: str, remedy: str = REMEDY) -> dict[str, Any]:
    """A map that has `keys`. Raises FileNotFoundError, and ValueError where the file is another."""
    text = path.read_bytes()
    try:
        return _map_with(json.loads(text), keys)
    except ValueError as error:
        raise ValueError(f"{path}: cannot be read ({error}); {remedy}.") from error


def read_lines(path: Path, *keys: str, remedy: str = "remove that line") -> Iterator[dict[str, Any]]:
    """A map with `keys` for each line, none where there is no file; a last line that a kill cut off is left out.

    Raises ValueError with the number of a line that is another.
    """
    data = path.read_bytes() if path.is_file() else b""
    whole, _, _ = data.rpartition(b"\n")
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            yield _map_with(json.loads(line), keys)
        except ValueError as error:
            raise ValueError(f"{path}: line {number} cannot be read ({error}); {remedy}.") from error


def _map_with(value: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"a {type(value).__name__}, expected a map")
    missing = [key for key in keys if key not in value]
    if missing:
        raise ValueError(f"no {missing[0]} in it")
    return value
