"""Digests of large sources, computed again only where a file has changed since."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pirig.files.atomic import write_text

FILE_NAME = ".digests.json"
SETTLED_S = 2.0  # a file that was written so shortly before may be written again without its time changing


class Digests:
    """What was computed from files, by name, kept in `folder` once that exists.

    Size, time of writing, inode and time of the inode's change tell whether a file is as it was.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        try:
            self.known: dict[str, Any] = json.loads(self.path.read_text())
        except (OSError, ValueError):
            self.known = {}

    def of(self, name: str, files: Sequence[Path], compute: Callable[[], Any]) -> Any:
        """`compute()`, a plain value, of files that are all there."""
        stamps = [_stamp(file) for file in files]
        kept = self.known.get(name)
        if isinstance(kept, dict) and kept.get("stamps") == stamps:
            return kept["value"]
        value = compute()
        if all(stamp[1] < (time.time() - SETTLED_S) * 1e9 for stamp in stamps):
            self.known[name] = {"stamps": stamps, "value": value}
            self.save()
        return value

    def save(self) -> None:
        """Nothing where the folder is not there yet or cannot be written: the digests are computed again."""
        if self.path.parent.is_dir():
            with contextlib.suppress(OSError):
                write_text(self.path, json.dumps(self.known) + "\n")


def _stamp(file: Path) -> list[int]:
    told = file.stat()
    return [told.st_size, max(told.st_mtime_ns, told.st_ctime_ns), told.st_mtime_ns, told.st_ino, told.st_dev]
