"""What an arm recorded, as its files say it before any picture is read: a LeRobot data set, or npz episodes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pirig.foreign.faults import refused
from pirig.foreign.kinds import Kind, kind_of, known_kind

if TYPE_CHECKING:
    from pirig.foreign.lerobot import EpisodeMeta

OF_AN_ARM = (Kind.lerobot, Kind.npz)
REMEDY = "give demos.path=FOLDER of a LeRobot data set, or of npz episodes"


class RecordingMeta(Protocol):
    """`episodes` in order, as far as they can be used; `sentences`: what the recording knows beside the episodes' own."""

    @property
    def episodes(self) -> list[EpisodeMeta]: ...

    @property
    def folder(self) -> Path: ...

    @property
    def info_file(self) -> Path:
        """The one that a message names."""
        ...

    @property
    def fps(self) -> float: ...

    @property
    def sentences(self) -> list[str]: ...

    def image_columns(self) -> list[str]: ...

    def image_size(self, column: str) -> tuple[int, int] | None:
        """(width, height) in px; None where there is no such column of pictures."""
        ...


def kind_of_recording(path: Path) -> Kind:
    """Raises ForeignFileError where an arm recorded nothing there."""
    kind = kind_of(path)
    if kind not in OF_AN_ARM:
        raise refused(path, f"it is {kind}", REMEDY, expected="what an arm recorded")
    return kind


def is_recording(path: Path) -> bool:
    """Whether an arm's recording is there, good or bad."""
    return known_kind(path) in OF_AN_ARM


def read_recording_meta(path: Path, left_out: Sequence[int] = ()) -> RecordingMeta:
    """`left_out`: numbers of episodes that nobody asks of. Raises ForeignFileError where there is nothing to use."""
    if kind_of_recording(path) == Kind.npz:
        from pirig.foreign.npz_episodes import read_episodes

        return read_episodes(path, left_out)
    from pirig.foreign.lerobot import read_meta

    return read_meta(path)
