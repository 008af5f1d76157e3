"""Videos and contact sheets for the page: fairly, in rounds over the rows, until CAP_MB is full."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pirig.comparison.collect import EVAL_ROWS
from pirig.comparison.compare import Row
from pirig.files.progress import Progress

CAP_MB = 32  # of pictures and videos together; Base64 makes a third more of it in the file
SHEET_WIDTH_PX = 1200
SHEET_QUALITY = 82


@dataclass(frozen=True)
class Medium:
    """`row`: its place in the comparison; `of`: policy, zero_shot, untrained or oracle."""

    row: int
    of: str
    path: Path
    base64: str

    @property
    def plain(self) -> dict[str, object]:
        sheet = self.path.suffix == ".png"
        return {
            "row": self.row,
            "of": self.of,
            "name": "contact sheet" if sheet else self.path.stem.replace("-", ", ").replace("seed", "seed "),
            "type": "image/webp" if sheet else "video/mp4",
            "won": self.path.name.startswith("success"),
        }


def embed(rows: list[Row], cap_mb: float = CAP_MB) -> tuple[list[Medium], list[Path]]:
    """What is embedded, in the order of the rows, and what was left out because the page would grow too large."""
    wanted = [(rank, place, of, path) for place, row in enumerate(rows) for rank, of, path in _of_row(row)]
    wanted.sort(key=lambda choice: choice[:2])  # stable: a success stays before the failure of its rank
    left, embedded, left_out = cap_mb * 1e6, [], []
    if not wanted:
        return [], []
    with Progress("videos and sheets", len(wanted)) as progress:
        for _, place, of, path in wanted:
            data = _content(path) if left > 0 and (path.suffix == ".png" or path.stat().st_size <= left) else None
            if data is not None and len(data) <= left:
                left -= len(data)
                embedded.append(Medium(place, of, path, base64.b64encode(data).decode()))
            else:
                left_out.append(path)
            progress.advance()
    return sorted(
        embedded, key=lambda medium: (medium.row, EVAL_ROWS.index(medium.of), medium.path.suffix != ".png")
    ), left_out


def _of_row(row: Row) -> Iterator[tuple[int, str, Path]]:
    """Files of a row, each with its rank: the policy's sheet, a success and a failure of it, then the rest."""
    for of in EVAL_ROWS if row.evaluation else ():
        assert row.evaluation
        folder = row.evaluation.folder / of / "videos"
        if (folder / "sheet.png").is_file():
            yield (0 if of == "policy" else 4), of, folder / "sheet.png"
        for outcome in ("success", "failure"):
            for place, path in enumerate(sorted(folder.glob(f"{outcome}-*.mp4"))):
                yield (min(place + 1, 3) if of == "policy" else 5 + place), of, path


def _content(path: Path) -> bytes:
    """A video as it is; a sheet smaller than its PNG by a factor of ten."""
    if path.suffix != ".png":
        return path.read_bytes()
    from PIL import Image

    target = io.BytesIO()
    with Image.open(path) as opened:
        image = opened.convert("RGB")
        image.thumbnail((SHEET_WIDTH_PX, 10 * SHEET_WIDTH_PX))
        image.save(target, "WEBP", quality=SHEET_QUALITY, method=2)
    return target.getvalue()
