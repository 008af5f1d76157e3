"""Tables on a terminal are as wide as it; elsewhere (a log, a pipe) wide enough that no column is cut."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

WIDE = 220


def console() -> Console:
    """A console of the terminal's width; without one, of COLUMNS or else 220 characters."""
    from rich.console import Console

    plain = Console(highlight=False)
    return plain if plain.is_terminal or "COLUMNS" in os.environ else Console(highlight=False, width=WIDE)
