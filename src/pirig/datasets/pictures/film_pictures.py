"""The pictures of a data set that keeps them as films, by the number of their row."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from pirig.datasets.lerobot.source import LeRobotSource, Part
from pirig.datasets.pictures.video import FilmReader


class FilmPictures:
    """`lengths`: frames of each episode, in order. One film of each camera is held open."""

    def __init__(self, folder: Path, lengths: Sequence[int]) -> None:
        self.folder, self.ends = folder, np.cumsum(lengths)
        self.starts = self.ends - np.asarray(lengths)
        self._open: dict[str, FilmReader] = {}
        self._parts: dict[tuple[str, int], Part] = {}

    @cached_property
    def _source(self) -> LeRobotSource:
        return LeRobotSource(self.folder)

    def at(self, column: str, row: int) -> np.ndarray:
        """u8 [H, W, 3]. Raises ValueError where the film has no such frame, or it cannot be decoded."""
        episode = int(np.searchsorted(self.ends, row, side="right"))
        part = self._part(column, episode)
        film = self._open.get(column)
        if film is None or film.file != part.file:
            if film is not None:
                film.close()
            film = self._open[column] = FilmReader(part.file, self._source.fps)
        frame = row - int(self.starts[episode])
        return film.at(part.window.start_s + frame / self._source.fps, f"{frame} of episode {episode}")

    def _part(self, column: str, episode: int) -> Part:
        key = column, episode
        if key not in self._parts:
            self._parts[key] = self._source.part(self._source.episodes[episode], column)
        return self._parts[key]
