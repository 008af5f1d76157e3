"""A figure of matplotlib as a PNG file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pirig.files.atomic import replacing


def save(figure: Any, path: Path) -> None:
    """Whole or not at all."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with replacing(path) as file:
        FigureCanvasAgg(figure).print_figure(file, dpi=120, format="png")
