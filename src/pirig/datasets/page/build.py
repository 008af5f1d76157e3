"""One HTML file about a data set, with everything in it: data, pictures, style, scripts. It asks no other machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pirig.datasets.page.data import Asked, page_data
from pirig.datasets.recording import open_recording
from pirig.files.atomic import write_text
from pirig.files.pages import Page, in_script

SCRIPTS = ("base.js", "overview.js", "looks.js", "player.js", "numbers.js", "main.js")
PAGE = Page("pirig.datasets.page", "pirig inspect", ("page.css",), SCRIPTS)


def write_page(data_set: Path, path: Path, gates: Sequence[Asked]) -> str:
    """`gates`: what was asked of it, and what each gate said. Returns what was written, in a sentence.

    An older page at `path` is replaced, another file refused. Raises ForeignFileError where `data_set` is none, or damaged.
    """
    require_ours(path)
    source = open_recording(data_set)
    data = json.dumps(page_data(source, gates), separators=(",", ":"), allow_nan=False)
    write_text(path, PAGE.filled({"DATA": in_script(data)}))
    return f"{path}: {len(source.episodes)} episodes, {path.stat().st_size / 1e6:.1f} MB; it opens without a network"


def require_ours(path: Path) -> None:
    """Raises ValueError where `path` is a file that this command did not write."""
    PAGE.require_ours(path, "data_set.html")
