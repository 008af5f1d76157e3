"""The file layout of LeRobot v3.0: many episodes per parquet file and per film, metadata in parquet.

meta/info.json  meta/stats.json  meta/tasks.parquet  meta/episodes/chunk-000/file-000.parquet
data/chunk-000/file-000.parquet ...  videos/KEY/chunk-000/file-000.mp4 ...
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pirig.datasets.lerobot import format as fmt
from pirig.datasets.lerobot import layout
from pirig.datasets.lerobot.layout import CHUNK_FILES, VIDEO_FILE_MB, Description, Episode, Histogram
from pirig.datasets.pictures.film_write import Joiner

VERSION = "v3.0"
DATA_FILE_MB = 100
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"


def write(folder: Path, description: Description, episodes: Iterable[Episode]) -> None:
    """Writes the whole data set into an empty folder."""
    rows: list[dict[str, Any]] = []
    numbers: dict[str, list[np.ndarray]] = {}
    histograms: list[dict[str, Histogram]] = []
    files, offset = _DataFiles(folder), 0
    films = {key: _FilmFiles(folder, key, description.fps) for key in description.films}
    for index, episode in enumerate(episodes):
        table = layout.with_index(episode, description, episode_index=index, offset=offset)
        chunk_index, file_index = files.add(table)
        columns = layout.numbers_of(table, description, folder)
        for key, values in columns.items():
            numbers.setdefault(key, []).append(values)
        places: dict[str, float | int] = {}
        for key, film in episode.films().items():
            places |= films[key].add(film, episode.length)
        histograms.append(dict(episode.histograms()))
        rows.append(
            {
                "episode_index": index,
                "tasks": layout.tasks_of(episode, description),
                "length": episode.length,
                "data/chunk_index": chunk_index,
                "data/file_index": file_index,
                "dataset_from_index": offset,
                "dataset_to_index": offset + episode.length,
                **places,
                **_flat_stats(layout.stats_of(histograms[-1:], columns)),
                "meta/episodes/chunk_index": 0,
                "meta/episodes/file_index": 0,
            }
        )
        offset += episode.length
    files.close()
    for joined in films.values():
        joined.close()
    _write_episodes(folder, rows)
    _write_tasks(folder, description.tasks)
    layout.write_json(folder / "meta/info.json", _info(description, len(rows), offset))
    whole = {key: np.concatenate(values) for key, values in numbers.items()}
    layout.write_json(folder / "meta/stats.json", layout.stats_of(histograms, whole))


class _DataFiles:
    """Appends episodes, one row group each, and starts a new file where the next would exceed DATA_FILE_MB."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.number, self.size = -1, 0
        self.writer: pq.ParquetWriter | None = None

    def add(self, table: pa.Table) -> tuple[int, int]:
        if self.writer is None or self.size + table.nbytes > DATA_FILE_MB * 1024**2:
            self._next(table.schema)
        assert self.writer is not None
        self.writer.write_table(table, row_group_size=len(table))
        self.size += table.nbytes
        return divmod(self.number, CHUNK_FILES)

    def _next(self, schema: pa.Schema) -> None:
        self.close()
        self.number, self.size = self.number + 1, 0
        chunk_index, file_index = divmod(self.number, CHUNK_FILES)
        path = self.folder / DATA_PATH.format(chunk_index=chunk_index, file_index=file_index)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.writer = pq.ParquetWriter(
            path, schema, compression="none", use_dictionary=False, write_statistics=["episode_index", "index"]
        )

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


class _FilmFiles:
    """Appends episodes' films of one feature, and starts a new file where the next would exceed VIDEO_FILE_MB."""

    def __init__(self, folder: Path, key: str, fps: float):
        self.folder, self.key, self.fps = folder, key, fps
        self.number, self.size, self.frames = -1, 0, 0
        self.joiner: Joiner | None = None

    def add(self, film: Path, length: int) -> dict[str, float | int]:
        """Where the episode lies then, as a row of meta/episodes says it."""
        size = film.stat().st_size
        if self.joiner is None or self.size + size > VIDEO_FILE_MB * 1024**2 or not self.joiner.takes(film):
            self._next()
        assert self.joiner is not None
        self.joiner.add(film)
        start = self.frames
        self.size, self.frames = self.size + size, self.frames + length
        chunk_index, file_index = divmod(self.number, CHUNK_FILES)
        return {
            f"videos/{self.key}/chunk_index": chunk_index,
            f"videos/{self.key}/file_index": file_index,
            f"videos/{self.key}/from_timestamp": start / self.fps,
            f"videos/{self.key}/to_timestamp": self.frames / self.fps,
        }

    def _next(self) -> None:
        self.close()
        self.number, self.size, self.frames = self.number + 1, 0, 0
        chunk_index, file_index = divmod(self.number, CHUNK_FILES)
        place = VIDEO_PATH.format(video_key=self.key, chunk_index=chunk_index, file_index=file_index)
        self.joiner = Joiner(self.folder / place, self.fps)

    def close(self) -> None:
        if self.joiner is not None:
            self.joiner.close()


def as_matrix(column: pa.ChunkedArray) -> np.ndarray:
    """A column of fixed-size lists as f32 [T, D]."""
    array = column.combine_chunks()
    return array.flatten().to_numpy().reshape(len(array), -1)


def _flat_stats(stats: fmt.Stats) -> dict[str, Any]:
    return {f"stats/{key}/{name}": value for key, entry in stats.items() for name, value in entry.items()}


def _write_episodes(folder: Path, rows: list[dict[str, Any]]) -> None:
    path = folder / "meta/episodes/chunk-000/file-000.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path, compression="snappy")


def _write_tasks(folder: Path, sentences: Sequence[str]) -> None:
    """As pandas would write `DataFrame({"task_index": [0, 1, ...]}, index=sentences)`: readers take the index for the task."""
    index = "__index_level_0__"
    described = [
        {"name": name, "field_name": field, "pandas_type": kind, "numpy_type": numpy_type, "metadata": None}
        for name, field, kind, numpy_type in (
            ("task_index", "task_index", "int64", "int64"),
            (None, index, "unicode", "object"),
        )
    ]
    names = {"name": None, "field_name": None, "pandas_type": "unicode", "numpy_type": "object"}
    pandas = {
        "index_columns": [index],
        "column_indexes": [{**names, "metadata": {"encoding": "UTF-8"}}],
        "columns": described,
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.3.3",
    }
    table = pa.table({"task_index": pa.array(range(len(sentences)), pa.int64()), index: pa.array(sentences)})
    path = folder / "meta/tasks.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata({"pandas": json.dumps(pandas)}), path)


def _info(description: Description, episodes: int, frames: int) -> dict[str, Any]:
    return {
        "codebase_version": VERSION,
        "robot_type": description.robot_type,
        "total_episodes": episodes,
        "total_frames": frames,
        "total_tasks": len(description.tasks),
        "chunks_size": CHUNK_FILES,
        "data_files_size_in_mb": DATA_FILE_MB,
        "video_files_size_in_mb": VIDEO_FILE_MB,
        "fps": description.rate,
        "splits": {"train": f"0:{episodes}"},
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH if description.films else None,
        "features": description.features,
    }
