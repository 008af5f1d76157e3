"""One form for what is wrong with somebody else's file: where, what stands there, what was expected, what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SHOWN = 60  # characters of a value


class ForeignFileError(ValueError):
    """A file that pirig did not write cannot be used as it is."""


def refused(
    file: Path | str,
    there: str,
    remedy: str,
    *,
    expected: str = "",
    episode: int | None = None,
    frame: int | str | None = None,
) -> ForeignFileError:
    """``FILE: episode 3, frame 7: THERE; expected EXPECTED; REMEDY.``"""
    place = ", ".join(
        f"{name} {number}" for name, number in (("episode", episode), ("frame", frame)) if number is not None
    )
    parts = [there, f"expected {expected}" if expected else "", remedy]
    return ForeignFileError(f"{file}: {f'{place}: ' if place else ''}{'; '.join(part for part in parts if part)}.")


def leave_out(episode: int) -> str:
    """The remedy that does without an episode."""
    return f"repair it, or give demos.leave_out=[{episode}]"


def shown(value: Any) -> str:
    """A value as a message quotes it, shortened."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
