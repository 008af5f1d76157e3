"""What is laid out, whatever the version of LeRobot: a description of all episodes, and each episode's columns and films.

A layout is a module with `VERSION` and `write(folder, description, episodes)`; `v30` and `v21` are two.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from pirig.datasets.lerobot import format as fmt
from pirig.foreign.lerobot import OWN_COLUMNS
from pirig.foreign.tables import matrix

CHUNK_FILES = 1000
VIDEO_FILE_MB = 200
Histogram = tuple[int, np.ndarray]  # frames sampled, i64 [3, 256] counts of their values


@dataclass(frozen=True)
class Description:
    """`features` as info.json has them, in the order of the columns; `tasks`: the sentence of each task_index."""

    features: Mapping[str, Mapping[str, Any]]
    fps: float
    robot_type: Any
    tasks: Sequence[str]

    @property
    def films(self) -> list[str]:
        """The features that are kept as films, not in the tables."""
        return [key for key, feature in self.features.items() if feature["dtype"] == "video"]

    @property
    def rate(self) -> float | int:
        """As LeRobot wants it: a whole number where it is one."""
        return int(self.fps) if self.fps == int(self.fps) else self.fps


class Episode(Protocol):
    """One episode that is to be laid out, without its place in the data set."""

    @property
    def length(self) -> int: ...

    @property
    def task_index(self) -> np.ndarray:
        """i64 [T], into the description's tasks."""
        ...

    def columns(self) -> pa.Table:
        """What is neither film nor index; a column timestamp is kept where there is one."""
        ...

    def films(self) -> Mapping[str, Path]:
        """A film of this episode alone for each feature of them."""
        ...

    def histograms(self) -> Mapping[str, Histogram]:
        """Of each feature of pictures; asked after columns and films."""
        ...


def with_index(episode: Episode, description: Description, *, episode_index: int, offset: int) -> pa.Table:
    """The episode's rows as the table of the data set has them, in the order of the features, with their schema."""
    table = episode.columns()
    index = fmt.index_columns(
        episode.length, episode_index=episode_index, offset=offset, fps=description.fps, task_index=0
    ) | {fmt.TASK_KEY: episode.task_index.astype(np.int64)}
    for key, values in index.items():
        if key not in table.column_names:
            table = table.append_column(key, pa.array(values))
    names = [key for key in description.features if key not in description.films]
    table = table.select(names)
    kinds = {name: fmt.arrow_type(table.schema.field(name).type, description.features[name]) for name in names}
    fields = [pa.field(name, kind) for name, kind in kinds.items()]
    return table.cast(pa.schema(fields, metadata=fmt.hugging_face(kinds, description.features)))


def numbers_of(table: pa.Table, description: Description, file: Path) -> dict[str, np.ndarray]:
    """[T, D] of each column of numbers, those of the index first."""
    names = sorted(table.column_names, key=lambda name: name not in OWN_COLUMNS)
    return {
        name: matrix(table[name], file, name)
        for name in names
        if description.features[name]["dtype"] not in ("image", "string")
    }


def stats_of(episodes: Sequence[Mapping[str, Histogram]], numbers: Mapping[str, np.ndarray]) -> fmt.Stats:
    """Of several episodes' histograms, by feature, and of their numbers."""
    stats: fmt.Stats = {}
    for key in episodes[0]:
        counts = [histograms[key] for histograms in episodes]
        total = np.sum([histogram for _, histogram in counts], axis=0)
        stats[key] = fmt.histogram_stats(sum(frames for frames, _ in counts), total)
    return stats | {key: fmt.number_stats(values) for key, values in numbers.items()}


def tasks_of(episode: Episode, description: Description) -> list[str]:
    """The sentences of an episode, each once, in the order of its frames."""
    return [description.tasks[int(index)] for index in dict.fromkeys(episode.task_index.tolist())]


def write_json(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n")


def write_json_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
