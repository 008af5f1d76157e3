"""Text and JSON of others: with a byte order mark or without, and a sentence for what is no text or no JSON."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any

from pirig.foreign.faults import refused, shown

AGAIN = "copy the file again"
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_text(file: Path) -> str:
    """Raises ForeignFileError where the file is missing, no file, empty, or no UTF-8 (UTF-16 with its mark is taken too)."""
    try:
        data = file.read_bytes()
    except FileNotFoundError as error:
        raise refused(file, "it is not there", "copy the whole folder again") from error
    except OSError as error:
        raise refused(file, f"it cannot be read ({error.strerror})", "make it a readable file") from error
    if not data.strip(b"\x00 \t\r\n"):
        what = "it is empty" if not data else f"it holds {len(data)} bytes of nothing"
        raise refused(file, what, f"{AGAIN}; it was cut off while it was written")
    try:
        return data.decode("utf-16" if data.startswith(UTF16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        there = f"byte 0x{data[error.start]:02x} in line {line} is no UTF-8"
        raise refused(file, there, f"save it as UTF-8 (iconv -f latin1 -t utf-8), or {AGAIN}") from error


def parsed(file: Path, text: str, line: int | None = None) -> Any:
    """The JSON value of a file's text, or of one line of it. Raises ForeignFileError."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        at = line or getattr(error, "lineno", 1)
        reason = str(error).split(":")[0]
        raise refused(
            file, f"line {at} is not valid JSON ({reason}): {shown(text[-40:])}", f"{AGAIN}; it was cut off or edited"
        ) from error


def read_json(file: Path) -> dict[str, Any]:
    """The JSON object of a file. Raises ForeignFileError where it holds none."""
    value = parsed(file, read_text(file))
    if not isinstance(value, dict):
        raise refused(file, f"it holds {shown(value)}", AGAIN, expected="a JSON object with keys")
    return value


def read_json_lines(file: Path) -> list[tuple[int, dict[str, Any]]]:
    """(line number, object) of every line that is not blank. Raises ForeignFileError where a line holds no object."""
    rows = []
    for number, line in enumerate(read_text(file).split("\n"), 1):
        if not line.strip():
            continue
        value = parsed(file, line, number)
        if not isinstance(value, dict):
            raise refused(file, f"line {number} holds {shown(value)}", AGAIN, expected="a JSON object with keys")
        rows.append((number, value))
    return rows
