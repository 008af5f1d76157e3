"""The file layout of LeRobot v3.0: many episodes per parquet file, metadata in parquet.

meta/info.json  meta/stats.json  meta/tasks.parquet  meta/episodes/chunk-000/file-000.parquet
data/chunk-000/file-000.parquet ...
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pirig.contract import Contract
from pirig.datasets import lerobot_format as fmt
from pirig.datasets.lerobot_parts import Part

VERSION = "v3.0"
CHUNK_FILES = 1000
DATA_FILE_MB = 100
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"


def write(folder: Path, contract: Contract, parts: Sequence[Part]) -> str:
    """Writes the whole data set into an empty folder and returns the SHA-256 of the data files' columns."""
    rows, numbers, digest = _write_data(folder, contract, parts)
    _write_episodes(folder, rows)
    _write_tasks(folder, prompts(contract))
    _write_json(folder / "meta/info.json", _info(contract, parts))
    _write_json(folder / "meta/stats.json", _stats(parts, numbers))
    return digest


def _write_data(
    folder: Path, contract: Contract, parts: Sequence[Part]
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray], str]:
    """Data files, plus one metadata row per episode, every column of numbers, and the digest."""
    schema = fmt.schema(contract, _labels(parts))
    rows: list[dict[str, Any]] = []
    numbers: dict[str, list[np.ndarray]] = {}
    digest = hashlib.sha256()
    files = _DataFiles(folder, schema)
    vectors = [fmt.STATE_KEY, fmt.ACTION_KEY, *map(fmt.label_key, _labels(parts))]
    told, table_of_tasks = {scene.task: scene.prompt for scene in contract.scenes}, prompts(contract)
    offset = 0
    for index, part in enumerate(parts):
        prompt = told[part.task]
        table = part.table()
        digest.update(part.file.read_bytes())
        index_columns = fmt.index_columns(
            part.length,
            episode_index=index,
            offset=offset,
            fps=contract.fps,
            task_index=table_of_tasks.index(prompt),
        )
        for key, values in index_columns.items():
            table = table.append_column(key, pa.array(values))
        chunk_index, file_index = files.add(table.select(schema.names).cast(schema))
        columns = index_columns | {key: as_matrix(table[key]) for key in vectors}
        for key, values in columns.items():
            numbers.setdefault(key, []).append(values)
        rows.append(
            {
                "episode_index": index,
                "tasks": [prompt],
                "length": part.length,
                "data/chunk_index": chunk_index,
                "data/file_index": file_index,
                "dataset_from_index": offset,
                "dataset_to_index": offset + part.length,
                **_flat_stats(_stats([part], columns)),
                "meta/episodes/chunk_index": 0,
                "meta/episodes/file_index": 0,
            }
        )
        offset += part.length
    files.close()
    return rows, {key: np.concatenate(values) for key, values in numbers.items()}, digest.hexdigest()


def _labels(parts: Sequence[Part]) -> dict[str, int]:
    """Raises ValueError where the episodes have different ones."""
    for part in parts:
        if part.labels != parts[0].labels:
            raise ValueError(f"episode of seed {part.seed}: labels {part.labels}, the first has {parts[0].labels}")
    return parts[0].labels


class _DataFiles:
    """Appends episodes, one row group each, and starts a new file where the next would exceed DATA_FILE_MB."""

    def __init__(self, folder: Path, schema: pa.Schema):
        self.folder, self.schema = folder, schema
        self.number, self.size = -1, 0
        self.writer: pq.ParquetWriter | None = None

    def add(self, table: pa.Table) -> tuple[int, int]:
        if self.writer is None or self.size + table.nbytes > DATA_FILE_MB * 1024**2:
            self._next()
        assert self.writer is not None
        self.writer.write_table(table, row_group_size=len(table))
        self.size += table.nbytes
        return divmod(self.number, CHUNK_FILES)

    def _next(self) -> None:
        self.close()
        self.number, self.size = self.number + 1, 0
        chunk_index, file_index = divmod(self.number, CHUNK_FILES)
        path = self.folder / DATA_PATH.format(chunk_index=chunk_index, file_index=file_index)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.writer = pq.ParquetWriter(
            path, self.schema, compression="none", use_dictionary=False, write_statistics=["episode_index", "index"]
        )

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


def as_matrix(column: pa.ChunkedArray) -> np.ndarray:
    """A column of fixed-size lists as f32 [T, D]."""
    array = column.combine_chunks()
    return array.flatten().to_numpy().reshape(len(array), -1)


def _stats(parts: Sequence[Part], columns: dict[str, np.ndarray]) -> fmt.Stats:
    stats: fmt.Stats = {}
    for role in parts[0].histograms:
        counts = [part.histograms[role] for part in parts]
        total = np.sum([histogram for _, histogram in counts], axis=0)
        stats[fmt.image_key(role)] = fmt.histogram_stats(sum(frames for frames, _ in counts), total)
    return stats | {key: fmt.number_stats(values) for key, values in columns.items()}


def _flat_stats(stats: fmt.Stats) -> dict[str, Any]:
    return {f"stats/{key}/{name}": value for key, entry in stats.items() for name, value in entry.items()}


def _write_episodes(folder: Path, rows: list[dict[str, Any]]) -> None:
    path = folder / "meta/episodes/chunk-000/file-000.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path, compression="snappy")


def prompts(contract: Contract) -> list[str]:
    """LeRobot's table of tasks: the contract's sentences, each once."""
    return list(dict.fromkeys(scene.prompt for scene in contract.scenes))


def _write_tasks(folder: Path, sentences: list[str]) -> None:
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


def _info(contract: Contract, parts: Sequence[Part]) -> dict[str, Any]:
    return {
        "codebase_version": VERSION,
        "robot_type": contract.robot_uid,
        "total_episodes": len(parts),
        "total_frames": sum(part.length for part in parts),
        "total_tasks": len(prompts(contract)),
        "chunks_size": CHUNK_FILES,
        "data_files_size_in_mb": DATA_FILE_MB,
        "video_files_size_in_mb": 200,
        "fps": contract.fps,
        "splits": {"train": f"0:{len(parts)}"},
        "data_path": DATA_PATH,
        "video_path": None,
        "features": fmt.features(contract, _labels(parts)),
    }


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n")
