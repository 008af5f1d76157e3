"""Frames of a LeRobot video by their number (PyAV)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pirig.foreign.films import ON_TIME, cannot_decode


def read_frames(file: Path, fps: float, start_s: float, count: int) -> np.ndarray:
    """u8 [count, H, W, 3]: the frames at start_s, start_s + 1/fps, ...

    Raises ValueError where PyAV is missing, cannot decode the file, or the video has no frame at one of these times.
    """
    try:
        import av
    except ImportError as error:
        raise ValueError(f"{file}: reading a video needs the package av; pip install av") from error
    try:
        with av.open(str(file)) as container:
            return _decoded(container, file, fps, start_s, count)
    except (av.error.FFmpegError, av.codec.codec.UnknownCodecError) as error:
        raise cannot_decode(file, error) from error


def _decoded(container: object, file: Path, fps: float, start_s: float, count: int) -> np.ndarray:
    stream = container.streams.video[0]  # type: ignore[attr-defined]
    stream.thread_type = "AUTO"
    if start_s:
        container.seek(max(0, int((start_s - 0.5 / fps) / stream.time_base)), stream=stream)  # type: ignore[attr-defined]
    frames: list[np.ndarray] = []
    for frame in container.decode(stream):  # type: ignore[attr-defined]
        behind = (frame.time - start_s) * fps - len(frames)  # in frames; 0: the one that comes next
        if abs(behind) <= ON_TIME:
            frames.append(frame.to_ndarray(format="rgb24"))
        if len(frames) == count:
            return np.stack(frames)
        if behind > 0.5:
            break
    raise ValueError(
        f"{file}: no frame {len(frames)} of {count} at {start_s + len(frames) / fps:.3f} s ({fps} frames a second); the video is "
        "shorter than its episode, or of another rate: record or export it again"
    )
