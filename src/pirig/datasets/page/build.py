"""One HTML file about a data set, with everything in it: data, pictures, style, scripts. It asks no other machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from pirig.datasets.page.data import Asked, page_data
from pirig.datasets.recording import open_recording
from pirig.files.atomic import write_text

GENERATOR = '<meta name="generator" content="pirig inspect">'
SCRIPTS = ("base.js", "overview.js", "looks.js", "player.js", "numbers.js", "main.js")


def write_page(data_set: Path, path: Path, gates: Sequence[Asked]) -> str:
    """`gates`: what was asked of it, and what each gate said. Returns what was written, in a sentence.

    An older page at `path` is replaced, another file refused. Raises ForeignFileError where `data_set` is none, or damaged.
    """
    require_ours(path)
    source = open_recording(data_set)
    write_text(path, _filled(json.dumps(page_data(source, gates), separators=(",", ":"), allow_nan=False)))
    return f"{path}: {len(source.episodes)} episodes, {path.stat().st_size / 1e6:.1f} MB; it opens without a network"


def require_ours(path: Path) -> None:
    """Raises ValueError where `path` is a file that this command did not write."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give the page's name, such as {path / 'data_set.html'}.")
    if path.is_file() and GENERATOR not in path.read_text(errors="replace")[:2000]:
        raise ValueError(f"{path} is there and no page of pirig inspect; choose another name.")


def _filled(data: str) -> str:
    scripts = "\n".join(_asset(name) for name in SCRIPTS)
    parts = {
        "GENERATOR": GENERATOR,
        "STYLE": _asset("page.css"),
        "SCRIPT": f'(() => {{\n"use strict";\n{scripts}\n}})();',
        "DATA": data.replace("<", "\\u003c"),  # last: what a data set says is no place for the others
    }
    text = _asset("page.html")
    for name, part in parts.items():
        text = text.replace(f"<!--{name}-->", part)
    return text


def _asset(name: str) -> str:
    return (resources.files("pirig.datasets.page") / name).read_text()
