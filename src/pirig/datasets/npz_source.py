"""Reads an arm's npz episodes as a recording; what a file may be is asked at the door (`pirig.foreign.npz_episodes`)."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from pirig.datasets.recording import split_column
from pirig.files import identity
from pirig.foreign.faults import ForeignFileError
from pirig.foreign.lerobot import EpisodeMeta, Feature
from pirig.foreign.npz_episodes import NUMBERS, PICTURES, NpzMeta, read, read_episodes, require_pictures


class NpzSource:
    """See `datasets.recording.Recording`. A file that is bad is left out as a whole, so no frame of it is in an episode."""

    def __init__(self, path: Path, left_out: Sequence[int] = ()) -> None:
        self.meta: NpzMeta = read_episodes(path, left_out)
        self.folder, self.fps = self.meta.folder, self.meta.fps
        widths = dict(zip(NUMBERS, self.meta.format.widths, strict=True))
        self.features = {column: Feature(dtype="float32", shape=[width]) for column, width in widths.items()}
        for column in self.meta.image_columns():
            width_px, height_px = self.meta.image_size(column) or (0, 0)
            self.features[column] = Feature(dtype="image", shape=[height_px, width_px, 3])

    robot_type = None

    @property
    def episodes(self) -> list[EpisodeMeta]:
        return self.meta.episodes

    @property
    def faults(self) -> Mapping[int, ForeignFileError]:
        return self.meta.faults

    @property
    def known(self) -> set[int]:
        return set(range(len(self.meta.files)))

    @property
    def kind(self) -> str:
        return "npz"

    @property
    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for file in self.meta.files:
            digest.update(f"{file.name} {file.stat().st_size}\n".encode())
        return digest.hexdigest()[:16]

    def examine(
        self, left_out: Iterable[int] = (), columns: Sequence[str] | None = None, *, ask_times: bool = True
    ) -> list[str]:
        """See `Recording.examine`. The files have no times of their frames."""
        left_out = set(left_out)
        self._require_pictures([one for one in self.episodes if one.index not in left_out], columns)
        used = [self.meta.good[one.index] for one in self.episodes if one.index not in left_out]
        notes = [f"{one.file}: {', '.join(one.unread)}: Python objects, not read" for one in used if one.unread]
        silent = [one.file.name for one in used if not one.task]
        if silent and len(silent) < len(used):
            notes.append(f"{self.folder}: {len(silent)} episodes have no task (the first: {silent[0]})")
        return notes

    def _require_pictures(self, episodes: Sequence[EpisodeMeta], columns: Sequence[str] | None) -> None:
        """Those whose pictures are damaged are left out. Raises ForeignFileError where none is left."""
        shown = self.meta.image_columns() if columns is None else columns
        asked = [column for column in shown if column in PICTURES]
        for episode in episodes:
            try:
                require_pictures(self.meta.good[episode.index], asked)
            except ForeignFileError as fault:
                self.meta.leave_out(episode.index, fault)
        if not self.episodes:
            raise next(iter(self.faults.values()))

    def numbers(self, episode: EpisodeMeta, columns: Sequence[str]) -> np.ndarray:
        return np.concatenate([self._column(episode, column) for column in columns], axis=1)

    def _column(self, episode: EpisodeMeta, column: str) -> np.ndarray:
        name, part = split_column(column)
        if name not in NUMBERS:
            raise ValueError(f"{self.folder}: no column {name!r} of numbers; it has {self.described()}.")
        return read(self.meta.good[episode.index].file, NUMBERS[name]).astype(np.float64)[:, part]

    def images(self, episode: EpisodeMeta, column: str) -> np.ndarray:
        return read(self.meta.good[episode.index].file, PICTURES[column])

    def task_of(self, episode: EpisodeMeta) -> str:
        return episode.tasks[0]

    def number_columns(self) -> list[str]:
        return list(NUMBERS)

    def listed(self) -> list[str]:
        told = self.meta.good.items()
        return [f"episode {number}: {one.file.name}, {one.length} frames, {one.task!r}" for number, one in told]

    def described(self) -> str:
        return ", ".join(f"{column} {list(self.features[column].shape)} ({NUMBERS[column]})" for column in NUMBERS)

    def files_of(self, episodes: Sequence[EpisodeMeta], cameras: Sequence[str]) -> list[Path]:
        return [self.meta.good[episode.index].file for episode in episodes]

    def digests_of(self, episodes: Sequence[EpisodeMeta], columns: Sequence[str], cameras: Sequence[str]) -> list[str]:
        """Pictures by the checksums that a zip keeps of its members, numbers by what they are, their type apart."""
        self._require_pictures(episodes, cameras)
        used = [episode for episode in episodes if episode.index in self.meta.good]
        return [f"{episode.index}:{self._digest(episode, columns, cameras)}" for episode in used]

    def _digest(self, episode: EpisodeMeta, columns: Sequence[str], cameras: Sequence[str]) -> str:
        with zipfile.ZipFile(self.meta.good[episode.index].file) as packed:
            members = {entry.filename.removesuffix(".npy"): (entry.CRC, entry.file_size) for entry in packed.infolist()}
        numbers = hashlib.sha256(self.numbers(episode, columns).astype(np.float32).tobytes()).hexdigest()
        return identity.digest_of([numbers, *(list(members[PICTURES[camera]]) for camera in cameras)])
