"""One line of progress with an ETA, on a terminal as on a log file."""

from __future__ import annotations

import sys
import time


class Progress:
    """``with Progress("replay", 64) as progress: progress.advance(note="kept 3/4")``.

    On a terminal the line is redrawn; elsewhere a new line is printed at most every `every_s` seconds.
    """

    def __init__(self, name: str, total: int, done: int = 0, every_s: float = 10.0):
        self.name, self.total, self.done, self.first = name, total, done, done
        self.every_s = 0.2 if sys.stderr.isatty() else every_s
        self.note = ""

    def __enter__(self) -> Progress:
        self.start_s = time.monotonic()
        self.last_s = self.start_s
        return self

    def advance(self, count: int = 1, note: str = "") -> None:
        self.done += count
        self.note = note or self.note
        now_s = time.monotonic()
        if now_s - self.last_s >= self.every_s:
            self.last_s = now_s
            self._print()

    def __exit__(self, *error: object) -> None:
        self._print(end=True)

    def _print(self, end: bool = False) -> None:
        elapsed_s = time.monotonic() - self.start_s
        made = self.done - self.first
        eta = "" if end or not made else f", ETA {clock(elapsed_s / made * (self.total - self.done))}"
        line = f"{self.name}: {self.done}/{self.total} in {clock(elapsed_s)}{eta}" + (
            f"  {self.note}" if self.note else ""
        )
        if sys.stderr.isatty():
            print("\r\033[K" + line, end="\n" if end else "", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """90 -> "1:30", 3700 -> "1:01:40"."""
    minutes, second = divmod(int(max(seconds, 0) + 0.5), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
