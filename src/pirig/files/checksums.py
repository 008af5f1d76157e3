"""What was written, by checksum: a file of ours that changed afterwards is named before it is used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from pirig.files.atomic import write_text

FILE_NAME = "checksums.json"  # beside the folders that it is about


def record(parent: Path, folders: Sequence[str]) -> None:
    """Keeps size and sha256 of every file in these folders of `parent`, in parent/checksums.json."""
    found = (path for name in folders for path in sorted((parent / name).rglob("*")) if path.is_file())
    files = {str(path.relative_to(parent)): _sum(path) for path in found}
    write_text(parent / FILE_NAME, json.dumps(files, indent=1) + "\n")


def require_intact(folder: Path) -> None:
    """Raises ValueError for the first file of `folder` that is not as it was recorded; nothing where there is no record."""
    record_file = folder.parent / FILE_NAME
    if not record_file.is_file():
        return
    for name, (size, digest) in json.loads(record_file.read_text()).items():
        path = folder.parent / name
        if path.parts[: len(folder.parts)] != folder.parts:
            continue
        if not path.is_file():
            raise ValueError(f"{name} is missing")
        if path.stat().st_size != size:
            raise ValueError(f"{name} has {path.stat().st_size:,} bytes, {size:,} were written")
        if _sum(path)[1] != digest:
            raise ValueError(f"{name} is not what was written: its sha256 is another one")


def _sum(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
