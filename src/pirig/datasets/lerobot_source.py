"""Reads LeRobot data sets that somebody else wrote: v2.0, v2.1 and v3.0, images in the table or as videos.

Written from the public LeRobot sources (Apache-2.0, v0.4.4). Only files are read, lerobot itself is not needed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pirig.config.recorded import image_columns, read_info
from pirig.datasets import png, video


@dataclass(frozen=True)
class Episode:
    """`data`: the table that holds its rows; `videos`: per video column the file and where it starts in it (s)."""

    index: int
    length: int
    data: Path
    videos: dict[str, tuple[Path, float]] = field(default_factory=dict)


class LeRobotSource:
    """`episodes` in order. Raises ValueError where meta/ is damaged or no data set of a known version."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.info = read_info(self.folder)
        self.features: dict[str, dict[str, Any]] = self.info["features"]
        self.fps = float(self.info["fps"])
        try:
            self.episodes = self._v3() if self.info["codebase_version"] == "v3.0" else self._v2()
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(
                f"{self.folder}/meta: damaged or incomplete ({error!r}); copy the data set again."
            ) from error
        if not self.episodes:
            raise ValueError(f"{self.folder}: it has no episodes.")
        self._table = lru_cache(maxsize=4)(self._read_table)

    def _v2(self) -> list[Episode]:
        lines = (self.folder / "meta/episodes.jsonl").read_text().splitlines()
        return [self._v2_episode(json.loads(line)) for line in lines if line.strip()]

    def _v2_episode(self, row: dict[str, Any]) -> Episode:
        index = int(row["episode_index"])
        place = {"episode_chunk": index // int(self.info["chunks_size"]), "episode_index": index}
        videos = {
            key: (self.folder / self.info["video_path"].format(video_key=key, **place), 0.0)
            for key in self._video_columns()
        }
        return Episode(index, int(row["length"]), self.folder / self.info["data_path"].format(**place), videos)

    def _v3(self) -> list[Episode]:
        files = sorted(self.folder.glob("meta/episodes/*/*.parquet"))
        rows = [row for file in files for row in pq.read_table(file, columns=self._v3_columns(file)).to_pylist()]
        return [self._v3_episode(row) for row in sorted(rows, key=lambda row: row["episode_index"])]

    @staticmethod
    def _v3_columns(file: Path) -> list[str]:
        wanted = ("episode_index", "length", "data/", "videos/")
        return [name for name in pq.read_schema(file).names if name.startswith(wanted)]

    def _v3_episode(self, row: dict[str, Any]) -> Episode:
        def place(prefix: str) -> dict[str, int]:
            return {name: int(row[f"{prefix}/{name}"]) for name in ("chunk_index", "file_index")}

        videos = {
            key: (
                self.folder / self.info["video_path"].format(video_key=key, **place(f"videos/{key}")),
                float(row[f"videos/{key}/from_timestamp"]),
            )
            for key in self._video_columns()
        }
        data = self.folder / self.info["data_path"].format(**place("data"))
        return Episode(int(row["episode_index"]), int(row["length"]), data, videos)

    def _video_columns(self) -> list[str]:
        return [name for name in image_columns(self.features) if self.features[name]["dtype"] == "video"]

    @property
    def fingerprint(self) -> str:
        """Of what meta/ says and of the sizes of all files: another state of the data set has another one."""
        digest = hashlib.sha256()
        for file in sorted(path for path in self.folder.rglob("*") if path.is_file() and ".cache" not in path.parts):
            name = file.relative_to(self.folder)
            digest.update(f"{name} {file.stat().st_size}\n".encode())
            if name.parts[0] == "meta":
                digest.update(file.read_bytes())
        return digest.hexdigest()[:16]

    def missing_files(self) -> list[Path]:
        needed = {
            file for episode in self.episodes for file in (episode.data, *(path for path, _ in episode.videos.values()))
        }
        return sorted(file for file in needed if not file.is_file())

    def numbers(self, episode: Episode, columns: list[str]) -> np.ndarray:
        """f64 [T, D]: these columns side by side; ``name[a:b]`` takes a part of one. Raises ValueError, naming what is there."""
        return np.concatenate([self._column(episode, column) for column in columns], axis=1)

    def _column(self, episode: Episode, column: str) -> np.ndarray:
        name, part = split_column(column)
        if name not in self.features or self.features[name]["dtype"] in ("image", "video", "string"):
            raise ValueError(f"{self.folder}: no column {name!r} of numbers; it has {self.described()}.")
        rows = self._rows(episode, (name,))[name].to_pylist()
        if any(row is None for row in rows):
            raise ValueError(f"{self.folder}: {name} of episode {episode.index} has empty rows; record it again.")
        return np.asarray(rows, np.float64).reshape(len(rows), -1)[:, part]

    def described(self) -> str:
        """``action [7], observation.state [8]``: its columns of numbers."""
        own = ("timestamp", "frame_index", "episode_index", "index", "task_index")
        numbers = [key for key in self.features if key not in own and key not in image_columns(self.features)]
        return ", ".join(f"{key} {list(self.features[key]['shape'])}" for key in numbers) or "no columns of numbers"

    def times_s(self, episode: Episode) -> np.ndarray | None:
        """f64 [T]; None where the data set has no timestamps."""
        if "timestamp" not in self.features:
            return None
        return np.asarray(self._rows(episode, ("timestamp",))["timestamp"].to_pylist(), np.float64).reshape(-1)

    def images(self, episode: Episode, column: str) -> np.ndarray:
        """u8 [T, H, W, 3]. Raises ValueError where a frame is missing or cannot be decoded."""
        if column in episode.videos:
            file, start_s = episode.videos[column]
            return video.read_frames(file, self.info["fps"], start_s, episode.length)
        cells = self._rows(episode, (column,))[column].to_pylist()
        return np.stack([self._decoded(episode, column, step, cell) for step, cell in enumerate(cells)])

    def encoded(self, episode: Episode, column: str) -> Iterator[bytes]:
        """The pictures of an image column as they are kept; one whose file is missing is empty."""
        for cell in self._rows(episode, (column,))[column].to_pylist():
            file = self.folder / ((cell or {}).get("path") or "")
            yield (cell or {}).get("bytes") or (file.read_bytes() if file.is_file() else b"")

    def _decoded(self, episode: Episode, column: str, step: int, cell: dict[str, Any]) -> np.ndarray:
        try:
            return png.decode(cell["bytes"] or (self.folder / cell["path"]).read_bytes())
        except (OSError, TypeError, KeyError) as error:
            raise ValueError(
                f"{self.folder}: {column} of episode {episode.index}, frame {step} cannot be decoded ({error}); record it again "
                f"or give demos.leave_out=[{episode.index}]."
            ) from error

    def _rows(self, episode: Episode, columns: tuple[str, ...]) -> pa.Table:
        table = self._table(episode.data, columns)
        mine = table.filter(pc.equal(table["episode_index"], episode.index))
        if len(mine) != episode.length:
            raise ValueError(
                f"{episode.data}: {len(mine)} rows of episode {episode.index}, meta/ says {episode.length}; the recording was "
                f"cut off: repair it, or give demos.leave_out=[{episode.index}]."
            )
        return mine

    def _read_table(self, file: Path, columns: tuple[str, ...]) -> pa.Table:
        try:
            return pq.read_table(file, columns=[*columns, "episode_index"])
        except (pa.ArrowInvalid, OSError) as error:
            raise ValueError(f"{file}: damaged or cut off while recording ({error}); copy it again.") from error


def split_column(column: str) -> tuple[str, slice]:
    """``"observation.state[0:8]"`` -> its name and the slice of its numbers; all of them without brackets."""
    match = re.fullmatch(r"(.+)\[(\d*):(\d*)\]", column)
    if not match:
        return column, slice(None)
    name, start, stop = match.groups()
    return name, slice(int(start) if start else None, int(stop) if stop else None)
