"""What an arm recorded, as episodes of numbers and pictures.

One protocol, a reader for LeRobot data sets and one for npz files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pirig.foreign.faults import ForeignFileError
from pirig.foreign.kinds import Kind
from pirig.foreign.lerobot import EpisodeMeta, Feature
from pirig.foreign.recording import RecordingMeta, kind_of_recording


class Recording(Protocol):
    """`episodes` in order, those that can be used. `features`: its columns. `faults`: by number, what is wrong with episodes
    that are left out as a whole; where a reader refuses the recording for one bad episode there are none."""

    folder: Path
    fps: float
    features: dict[str, Feature]

    @property
    def meta(self) -> RecordingMeta: ...

    @property
    def episodes(self) -> list[EpisodeMeta]: ...

    @property
    def faults(self) -> Mapping[int, ForeignFileError]: ...

    @property
    def known(self) -> set[int]:
        """The numbers of all episodes, good or bad."""
        ...

    @property
    def robot_type(self) -> Any:
        """The arm that it names, None where it does not."""
        ...

    @property
    def kind(self) -> str:
        """What it is, for people."""
        ...

    @property
    def fingerprint(self) -> str: ...

    def examine(
        self, left_out: Iterable[int] = (), columns: Sequence[str] | None = None, *, ask_times: bool = True
    ) -> list[str]:
        """Asks every episode that is not left out; `columns`: those of pictures that are used, None: all. Returns notes on what
        is unusual. Raises ForeignFileError where the recording cannot be used; one bad episode goes into `faults` where each
        has a file of its own."""
        ...

    def numbers(self, episode: EpisodeMeta, columns: Sequence[str]) -> np.ndarray:
        """f64 [T, D]: these columns side by side; ``name[a:b]`` takes a part of one. Raises ValueError, naming what is there."""
        ...

    def images(self, episode: EpisodeMeta, column: str) -> np.ndarray:
        """u8 [T, H, W, 3]. Raises ValueError where a frame is missing or cannot be decoded."""
        ...

    def task_of(self, episode: EpisodeMeta) -> str:
        """Its sentence, "" where it has none."""
        ...

    def number_columns(self) -> list[str]: ...

    def described(self) -> str:
        """Its columns of numbers, with their shapes."""
        ...

    def listed(self) -> list[str]:
        """A line for each episode where it has a file of its own."""
        ...

    def files_of(self, episodes: Sequence[EpisodeMeta], cameras: Sequence[str]) -> list[Path]:
        """Those that the episodes are read from."""
        ...

    def digests_of(self, episodes: Sequence[EpisodeMeta], columns: Sequence[str], cameras: Sequence[str]) -> list[str]:
        """``number:digest`` of each good one: its numbers, times and pictures."""
        ...


def open_recording(path: Path, left_out: Sequence[int] = ()) -> Recording:
    """`left_out`: numbers of episodes that nobody asks of. Raises ForeignFileError where `path` is no recording, or damaged."""
    if kind_of_recording(path) == Kind.npz:
        from pirig.datasets.npz_source import NpzSource

        return NpzSource(path, left_out)
    from pirig.datasets.lerobot.source import LeRobotSource

    return LeRobotSource(path)


def split_column(column: str) -> tuple[str, slice]:
    """``"observation.state[0:8]"`` -> its name and the slice of its numbers; all of them without brackets."""
    match = re.fullmatch(r"(.+)\[(\d*):(\d*)\]", column)
    if not match:
        return column, slice(None)
    name, start, stop = match.groups()
    return name, slice(int(start) if start else None, int(stop) if stop else None)
