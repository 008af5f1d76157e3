"""One HTML file with everything in it: data, style, scripts, videos. It asks no other machine for anything."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

from pirig.comparison.compare import Comparison
from pirig.comparison.page.data import page_data
from pirig.comparison.page.media import CAP_MB, embed
from pirig.files.atomic import write_text

GENERATOR = '<meta name="generator" content="pirig compare">'
STYLES = ("page.css", "sections.css")
SCRIPTS = ("base.js", "table.js", "chart.js", "curves.js", "results.js", "details.js", "media.js", "main.js")


def write_page(comparison: Comparison, path: Path) -> str:
    """Returns what was written, in a sentence. An older page there is replaced, another file refused."""
    require_ours(path)
    media, left_out = embed(comparison.rows)
    data = page_data(comparison)
    data["media"] = [medium.plain for medium in media]
    data["left_out"] = {"cap_mb": CAP_MB, "files": [str(file) for file in left_out]}
    blobs = "".join(
        f'<script type="text/plain" id="medium{place}">{medium.base64}</script>\n' for place, medium in enumerate(media)
    )
    write_text(path, _filled(data, blobs))
    text = f"{len(comparison.rows)} rows, {len(media)} videos and sheets, {path.stat().st_size / 1e6:.1f} MB"
    return text + (f"; {len(left_out)} more would exceed {CAP_MB} MB and stay in their run folders" if left_out else "")


def require_ours(path: Path) -> None:
    """Raises ValueError where `path` is a file that this command did not write."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give the page's name, such as {path / 'compare.html'}.")
    if path.is_file() and GENERATOR not in path.read_text(errors="replace")[:2000]:
        raise ValueError(f"{path} is there and no page of pirig compare; choose another name.")


def _filled(data: dict, blobs: str) -> str:
    scripts = "\n".join(_asset(name) for name in SCRIPTS)
    parts = {
        "GENERATOR": GENERATOR,
        "STYLE": "\n".join(_asset(name) for name in STYLES),
        "DATA": json.dumps(data, separators=(",", ":"), default=str).replace("<", "\\u003c"),
        "MEDIA": blobs,
        "SCRIPT": f'(() => {{\n"use strict";\n{scripts}\n}})();',
    }
    text = _asset("page.html")
    for name, part in parts.items():
        text = text.replace(f"<!--{name}-->", part)
    return text


def _asset(name: str) -> str:
    return (resources.files("pirig.comparison.page") / name).read_text()
