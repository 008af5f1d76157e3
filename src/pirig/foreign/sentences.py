"""What each episode of a LeRobot data set is told, where a column of the tables says it and not meta/ (DROID's do)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pirig.foreign import tables
from pirig.foreign.faults import refused
from pirig.foreign.lerobot import Meta
from pirig.foreign.rows import RowIndex


def read_sentences(meta: Any, column: str) -> dict[int, str]:
    """By the episode's number, the sentence beside its first frame. Raises ForeignFileError where no such column of text is."""
    if not isinstance(meta, Meta):
        raise refused(Path(meta.info_file), f"no column {column!r} of sentences", "leave data.prompt out")
    feature = meta.info.features.get(column)
    if feature is None or feature.dtype != "string":
        texts = [name for name, one in meta.info.features.items() if one.dtype == "string"]
        raise refused(
            meta.info_file, f"no column {column!r} of sentences (of text it has {', '.join(texts) or 'none'})",
            "give another data.prompt, or leave it out: then each episode's own task counts", expected="a column of text",
        )  # fmt: skip
    index, told, read = RowIndex(meta), dict[int, str](), dict[Path, Any]()
    for episode in meta.episodes:
        rows = index.of(episode.index)
        if len(rows):
            if rows.file not in read:
                read = {rows.file: tables.read(rows.file, (column,))[column]}
            told[episode.index] = str(read[rows.file][int(rows.rows[0])].as_py() or "").strip()
    return told
