"""Encoded pictures of others: 8-bit colour, of the size that was promised, whole; told from their heads and ends."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from PIL import Image

from pirig.foreign.faults import leave_out, refused, shown

COLOUR = ("RGB", "RGBA", "P", "YCbCr", "CMYK")
PNG, PNG_END = b"\x89PNG", b"IEND\xaeB`\x82"
JPEG, JPEG_END = b"\xff\xd8", b"\xff\xd9"
END = 64  # bytes from the end in which a whole file's mark stands


def data_of(cell: Any, folder: Path, file: Path, column: str, episode: int, frame: int) -> bytes:
    """The bytes of a cell {"bytes", "path"}; a path is one below the data set's folder. Raises ForeignFileError."""

    def fault(there: str, expected: str) -> Exception:
        return refused(file, there, leave_out(episode), expected=expected, episode=episode, frame=frame)

    if isinstance(cell, bytes):
        return cell
    if not isinstance(cell, dict) or not (cell.get("bytes") or cell.get("path")):
        raise fault(f"{column} holds {shown(cell)}", "a picture's bytes or its path")
    if cell.get("bytes"):
        return cell["bytes"]
    places = [folder / cell["path"], folder / "images" / cell["path"]]
    place = next((place for place in places if place.is_file()), None)
    if place is None:
        raise fault(f"the picture {cell['path']} of {column} is not there", "a file below the data set's folder")
    return place.read_bytes()


def require_good(data: bytes, size: tuple[int, int], file: Path, column: str, episode: int, frame: int) -> None:
    """Raises ForeignFileError unless it is a whole picture in 8-bit colour of `size` (width, height)."""

    def fault(there: str, expected: str, remedy: str = "") -> Exception:
        return refused(file, there, remedy or leave_out(episode), expected=expected, episode=episode, frame=frame)

    try:
        with Image.open(io.BytesIO(data)) as picture:
            mode, found = picture.mode, picture.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise fault(f"{column} cannot be decoded ({str(error).split(' <')[0]})", "a PNG or a JPEG") from error
    torn = (data.startswith(PNG) and PNG_END not in data[-END:]) or (
        data.startswith(JPEG) and JPEG_END not in data[-END:]
    )
    if torn:
        raise fault(f"{column} is cut off and cannot be decoded ({len(data)} bytes)", "a whole picture")
    if mode not in COLOUR:
        raise fault(
            f"{column} is a picture of mode {mode}",
            "8-bit colour (RGB)",
            "choose a colour camera in camera.entries.<camera>.sensor, or write it as RGB",
        )
    if found != size:
        raise fault(
            f"{column} is {found[0]} x {found[1]} px",
            f"{size[0]} x {size[1]} px, as meta/info.json says",
            f"correct features.{column}.shape there, or record it again",
        )
