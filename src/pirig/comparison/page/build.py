"""One HTML file with everything in it: data, style, scripts, videos. It asks no other machine for anything."""

from __future__ import annotations

import json
from pathlib import Path

from pirig.comparison.compare import Comparison
from pirig.comparison.page.data import page_data
from pirig.comparison.page.media import CAP_MB, embed
from pirig.files.atomic import write_text
from pirig.files.pages import Page, in_script

SCRIPTS = ("base.js", "table.js", "chart.js", "curves.js", "results.js", "details.js", "media.js", "main.js")
PAGE = Page("pirig.comparison.page", "pirig compare", ("page.css", "sections.css"), SCRIPTS)


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
    told = in_script(json.dumps(data, separators=(",", ":"), default=str))
    write_text(path, PAGE.filled({"MEDIA": blobs, "DATA": told}))
    text = f"{len(comparison.rows)} rows, {len(media)} videos and sheets, {path.stat().st_size / 1e6:.1f} MB"
    return text + (f"; {len(left_out)} more would exceed {CAP_MB} MB and stay in their run folders" if left_out else "")


def require_ours(path: Path) -> None:
    """Raises ValueError where `path` is a file that this command did not write."""
    PAGE.require_ours(path, "compare.html")
