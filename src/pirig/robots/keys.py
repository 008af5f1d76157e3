"""Keys of a terminal while something else runs: read without waiting, the terminal as it was afterwards."""

from __future__ import annotations

import contextlib
import select
import sys
from collections.abc import Iterator
from typing import Protocol

ENTER = "\n"


class Keys(Protocol):
    def pressed(self) -> str:
        """The oldest key that was pressed and not read yet, "" where there is none."""
        ...


class Terminal:
    def pressed(self) -> str:
        ready = select.select([sys.stdin], [], [], 0)[0]
        return sys.stdin.read(1).replace("\r", ENTER) if ready else ""


@contextlib.contextmanager
def terminal() -> Iterator[Terminal]:
    """Raises ValueError where there is no terminal to press keys in."""
    if not sys.stdin.isatty():
        raise ValueError("recording is driven by keys: run it in a terminal, not from a pipe or a job")
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield Terminal()
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
