"""Is there room for what will be written? Asked before the first byte, so that a full disk costs no work."""

from __future__ import annotations

import shutil
from pathlib import Path

ELSEWHERE = "make room, or give run.root=FOLDER on another disk"


def require_space(folder: Path, needed: float, what: str, remedy: str = ELSEWHERE) -> None:
    """Raises ValueError where the disk of `folder`, which need not exist yet, has fewer than `needed` bytes free."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    disk = shutil.disk_usage(there)
    free = disk.free
    if needed > free and disk.total:  # /proc and /sys have no size: the first write says what is wrong
        raise ValueError(f"{folder}: {what}: {needed / 1e9:.1f} GB; {free / 1e9:.1f} GB are free; {remedy}.")
