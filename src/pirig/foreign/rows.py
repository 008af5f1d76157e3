"""Which rows of which file are an episode's, in the order of its frames: by what the files hold, not by what meta/ says.

LeRobot's own converter puts an episode at a file's boundary into the next file and says the first one; others number chunks
in a way of their own. `episode_index` and `frame_index` stand beside every row, so they decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pirig.foreign import tables
from pirig.foreign.faults import leave_out, refused
from pirig.foreign.lerobot import DATA_PATHS, EpisodeMeta, Meta

INDEX_COLUMNS = ("episode_index", "frame_index", "index", "timestamp", "task_index")
ORDER = ("frame_index", "index")  # which of them tells the order of an episode's rows, the first that is there
SHOWN = 6  # frames of a list


@dataclass(frozen=True)
class EpisodeRows:
    """The rows of an episode in the order of its frames: `files` i64 [T] numbers into `paths`, `rows` i64 [T] within the file.

    `frame_index`, `times_s` and `task_index` are [T], None where the data set has no such column.
    """

    paths: tuple[Path, ...]
    files: np.ndarray
    rows: np.ndarray
    frame_index: np.ndarray | None
    times_s: np.ndarray | None
    task_index: np.ndarray | None
    moved: bool  # they did not lie in this order

    @property
    def file(self) -> Path:
        """The one that a message names: that of the first row."""
        return self.paths[int(self.files[0])]

    @property
    def used(self) -> list[Path]:
        return [self.paths[int(number)] for number in np.unique(self.files)]

    def __len__(self) -> int:
        return len(self.rows)


class RowIndex:
    """The index columns of all data files. Raises ForeignFileError where one is damaged or has no place in the data set."""

    def __init__(self, meta: Meta) -> None:
        self.meta = meta
        self.paths = tuple(sorted((meta.folder / "data").rglob("*.parquet"), key=_natural))
        if not self.paths:
            raise refused(meta.folder / "data", "no .parquet file there", "copy the whole data set again")
        self._columns = [self._read(path) for path in self.paths]
        self.episodes = sorted({int(one) for columns in self._columns for one in np.unique(columns["episode_index"])})

    def _read(self, path: Path) -> dict[str, np.ndarray]:
        names = tables.column_names(path)
        table = tables.read(path, [name for name in INDEX_COLUMNS if name in names])
        columns = {
            name: tables.matrix(table[name], path, name).reshape(-1)
            if name == "timestamp"
            else tables.whole_numbers(table[name], path, name)
            for name in table.column_names
        }
        if "episode_index" not in columns:
            columns["episode_index"] = np.full(tables.row_count(path), self._by_name(path))
        return columns

    def _by_name(self, path: Path) -> int:
        """Of a v2 file without the column: its number, as the template writes it."""
        match = re.fullmatch(r"episode_(\d+)\.parquet", path.name)
        if match is None or self.meta.info.is_v3:
            raise refused(
                path, "no column 'episode_index'", "write the column", expected="the episode's number beside every row"
            )
        return int(match[1])

    def require_named(self, left_out: Iterable[int] = ()) -> None:
        """Raises ForeignFileError where the files hold an episode that meta/ does not name."""
        known = {episode.index for episode in self.meta.episodes} | set(left_out)
        unknown = [episode for episode in self.episodes if episode not in known]
        if unknown:
            file = self.of(unknown[0]).file
            names = f"{self.meta.episodes_file.relative_to(self.meta.folder)} does not name it"
            raise refused(
                file,
                f"{names}, though its rows are here ({len(known)} episodes are named, {len(self.episodes)} are in the files)",
                f"add it there, or give demos.leave_out=[{unknown[0]}]",
                expected="the same episodes in both",
                episode=unknown[0],
            )

    def of(self, episode: int) -> EpisodeRows:
        """In the order of its frames; empty where no file has it."""
        places = [np.flatnonzero(columns["episode_index"] == episode) for columns in self._columns]
        files = np.concatenate([np.full(len(rows), number) for number, rows in enumerate(places)])
        rows = np.concatenate(places)
        key = next((name for name in ORDER if self._has(name, places)), None)
        order = np.arange(len(rows)) if key is None else np.argsort(self._joined(key, places), kind="stable")
        frames, times, tasks = (
            self._joined(name, places)[order] if self._has(name, places) else None
            for name in ("frame_index", "timestamp", "task_index")
        )
        moved = bool((np.diff(order) != 1).any())
        return EpisodeRows(self.paths, files[order], rows[order], frames, times, tasks, moved)

    def _has(self, name: str, places: list[np.ndarray]) -> bool:
        holding = [columns for columns, rows in zip(self._columns, places, strict=True) if len(rows)]
        return bool(holding) and all(name in columns for columns in holding)

    def _joined(self, name: str, places: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(
            [columns[name][rows] for columns, rows in zip(self._columns, places, strict=True) if len(rows)]
        )

    def told_file(self, episode: EpisodeMeta) -> Path | None:
        """Where meta/ says that the episode lies; None where it does not say, or by a template of its own."""
        info, places = self.meta.info, episode.places
        size = info.chunks_size or 1000
        values = {"episode_index": episode.index, "episode_chunk": episode.index // size} | {
            name: places.get(f"data/{name}") for name in ("chunk_index", "file_index")
        }
        try:
            return self.meta.folder / (info.data_path or DATA_PATHS[info.is_v3]).format(**values)
        except (KeyError, IndexError, ValueError, TypeError, AttributeError):
            return None


def _natural(path: Path) -> list[tuple[int, str]]:
    """file-9 before file-10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.as_posix())]


def require_whole(episode: EpisodeMeta, rows: EpisodeRows, told: Path | None, meta: Meta) -> None:
    """Raises ForeignFileError unless the rows are frames 0, 1, ... of as many as meta/ says."""
    said = f"{meta.episodes_file.relative_to(meta.folder)} says {episode.length}"
    remedy = leave_out(episode.index)
    if not len(rows):
        where = told if told is not None else meta.folder / "data"
        what = f"0 rows of episode {episode.index}, {said}" if where.exists() else "the file is not there"
        raise refused(where, what, f"copy it again, or give demos.leave_out=[{episode.index}]", episode=episode.index)
    if rows.frame_index is not None:
        _require_frames(episode.index, rows, rows.frame_index, remedy)
    if len(rows) < episode.length:
        raise refused(
            rows.file,
            f"{len(rows)} rows of episode {episode.index}, {said}; the recording was cut off after frame {len(rows) - 1}",
            remedy,
            episode=episode.index,
        )
    if len(rows) > episode.length:
        raise refused(
            rows.file,
            f"{len(rows)} rows of episode {episode.index}, {said}",
            f"correct the length there, or give demos.leave_out=[{episode.index}]",
            episode=episode.index,
        )


def _require_frames(episode: int, rows: EpisodeRows, frames: np.ndarray, remedy: str) -> None:
    values, counts = np.unique(frames, return_counts=True)
    if (counts > 1).any():
        repeated = values[counts > 1]
        raise refused(
            rows.file, f"frame_index {_listed(repeated)} is there {counts.max()} times", remedy,
            expected="every frame once", episode=episode, frame=int(repeated[0]),
        )  # fmt: skip
    if values[0] != 0:
        raise refused(
            rows.file, f"frame_index starts at {values[0]}", remedy + ("" if values[0] > 1 else "; frames count from 0"),
            expected="0: its beginning is missing, or it counts otherwise", episode=episode, frame=int(values[0]),
        )  # fmt: skip
    gaps = np.flatnonzero(np.diff(values) > 1)
    if len(gaps):
        before, after = int(values[gaps[0]]), int(values[gaps[0] + 1])
        raise refused(
            rows.file, f"frame_index goes from {before} to {after}, frames {before + 1} to {after - 1} are missing", remedy,
            expected="every frame", episode=episode, frame=before,
        )  # fmt: skip


def _listed(values: np.ndarray) -> str:
    return ", ".join(str(int(value)) for value in values[:SHOWN]) + (", ..." if len(values) > SHOWN else "")
