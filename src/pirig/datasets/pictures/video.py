"""Frames of a LeRobot video by their times (PyAV)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pirig.foreign.films import ON_TIME, cannot_decode

AHEAD_FRAMES = 16  # a frame that is nearer is reached by decoding on, a farther one by a jump


def read_frames(file: Path, fps: float, start_s: float, count: int) -> np.ndarray:
    """u8 [count, H, W, 3]: the frames at start_s, start_s + 1/fps, ...

    Raises ValueError where PyAV is missing, cannot decode the file, or the video has no frame at one of these times.
    """
    with FilmReader(file, fps) as film:
        return np.stack([film.at(start_s + number / fps, f"{number} of {count}") for number in range(count)])


class FilmReader:
    """``with FilmReader(file, fps) as film: film.at(1.5)``: u8 [H, W, 3]. Times that ascend are read without a jump.

    Raises ValueError where PyAV is missing, cannot decode the file, or the film has no frame at that time.
    """

    def __init__(self, file: Path, fps: float) -> None:
        try:
            import av
            from av.video.reformatter import VideoReformatter
        except ImportError as error:
            raise ValueError(f"{file}: reading a video needs the package av; pip install av") from error
        self.file, self.fps, self._av = file, fps, av
        self._broken = (av.error.FFmpegError, av.codec.codec.UnknownCodecError)
        try:
            self._container: Any = av.open(str(file))
            self._stream = self._container.streams.video[0]
        except self._broken as error:
            raise cannot_decode(file, error) from error
        self._stream.thread_type = "AUTO"
        self._to_rgb = VideoReformatter()  # one for all frames: each would make its own
        self._frames: Iterator[Any] = iter(())
        self._shown: Any = None  # the frame that was decoded last

    def __enter__(self) -> FilmReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._container.close()

    def at(self, time_s: float, called: str = "") -> np.ndarray:
        """`called`: how a message names the frame."""
        try:
            return self._at(time_s, called)
        except self._broken as error:
            raise cannot_decode(self.file, error) from error

    def _at(self, time_s: float, called: str) -> np.ndarray:
        ahead = None if self._shown is None else (time_s - self._shown.time) * self.fps
        if ahead is None or not -ON_TIME <= ahead <= AHEAD_FRAMES:
            self._jump(time_s)
        while self._shown is not None:
            behind = (self._shown.time - time_s) * self.fps  # in frames
            if abs(behind) <= ON_TIME:
                return self._to_rgb.reformat(self._shown, format="rgb24").to_ndarray()
            if behind > 0.5:
                break
            self._shown = next(self._frames, None)
        raise ValueError(
            f"{self.file}: no frame {called} at {time_s:.3f} s ({self.fps} frames a second); the video is shorter than its "
            "episode, or of another rate: record or export it again"
        )

    def _jump(self, time_s: float) -> None:
        place = max(0, int((time_s - 0.5 / self.fps) / float(self._stream.time_base or 1)))
        self._container.seek(place, stream=self._stream)
        self._frames = self._container.decode(self._stream)
        self._shown = next(self._frames, None)
