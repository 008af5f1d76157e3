"""The films of others: as many frames as their episodes have rows, at the same times, before a picture is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pirig.foreign.faults import ForeignFileError, leave_out, refused

ON_TIME = 0.1  # of a frame's duration; LeRobot encodes at a constant rate
ENDING = "a film of as many frames as the episode has rows"


@dataclass(frozen=True)
class Film:
    """`times_s` f64 [N], ascending, of the frames as they are shown."""

    file: Path
    times_s: np.ndarray
    width_px: int
    height_px: int
    pixel_format: str
    bits: int
    colours: int


@dataclass(frozen=True)
class Window:
    """An episode's part of a film: `length` frames from `start_s`; `end_s` where the data set says it."""

    episode: int
    length: int
    start_s: float = 0.0
    end_s: float | None = None


def cannot_decode(file: Path, error: Exception) -> ForeignFileError:
    import av

    size = file.stat().st_size if file.is_file() else 0
    return refused(
        file,
        f"PyAV {av.__version__} cannot decode it ({str(error).splitlines()[0][:100]})" if size else "it is empty",
        "copy the file again if it is damaged, pip install -U av for a newer decoder, or record with vcodec=h264",
    )


def look(file: Path) -> Film:
    """What a film's own table says; no picture is decoded. Raises ForeignFileError where it is torn or no film."""
    if not file.is_file():
        raise refused(file, "it is not there", "copy the whole data set again")
    state = file.stat()
    return _look(file, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=512)
def _look(file: Path, *state: int) -> Film:
    try:
        import av
    except ImportError as error:
        raise refused(file, "reading a video needs the package av", "pip install av") from error
    try:
        with av.open(str(file)) as container:
            return _looked(file, container)
    except (av.error.FFmpegError, av.codec.codec.UnknownCodecError) as error:
        raise cannot_decode(file, error) from error


def _looked(file: Path, container: Any) -> Film:
    if not container.streams.video:
        raise refused(file, "there is no video in it", "copy the file again", expected=ENDING)
    stream = container.streams.video[0]
    stamps = [packet.pts for packet in container.demux(stream) if packet.pts is not None and packet.size]
    times_s = np.sort(np.array(stamps, np.float64)) * float(stream.time_base or 0)
    kind = stream.codec_context.format
    bits = max((part.bits for part in kind.components), default=0) if kind else 0
    colours = 1 if kind is None or kind.name.startswith(("gray", "mono")) else len(kind.components)
    return Film(file, times_s, stream.width, stream.height, kind.name if kind else "", bits, colours)


def require_pictures(film: Film, column: str, size: tuple[int, int], episode: int) -> None:
    """Raises ForeignFileError unless they are 8-bit colour of `size` (width, height)."""
    if film.bits > 8 or film.colours < 3:
        raise refused(
            film.file, f"its pictures are {film.pixel_format} ({film.bits} bits, {film.colours} colours)",
            "choose a colour camera in camera.entries.<camera>.sensor", expected="8-bit colour", episode=episode,
        )  # fmt: skip
    if (film.width_px, film.height_px) != size:
        raise refused(
            film.file, f"its pictures are {film.width_px} x {film.height_px} px",
            f"correct features.{column}.shape in meta/info.json", expected=f"{size[0]} x {size[1]} px, as meta/info.json says",
            episode=episode,
        )  # fmt: skip


def offset_s(film: Film) -> float:
    """Where the first frame stands, of a film that holds one episode."""
    return float(film.times_s[0]) if len(film.times_s) else 0.0


def require_alone(film: Film, window: Window, fps: float) -> None:
    """A film of one episode. Raises ForeignFileError with the frame where they part."""
    _require_count(film, len(film.times_s), window)
    _require_times(film, film.times_s - offset_s(film), window, fps)


def require_joined(film: Film, windows: list[Window], fps: float, unasked: Sequence[Window] = ()) -> None:
    """A film of several episodes, each in its window; `unasked`: those of episodes that are left out.

    Raises ForeignFileError for windows that meet, frames too few, too many.
    """
    ordered = sorted(windows, key=lambda window: window.start_s)
    half, claimed = 0.5 / fps, 0
    for window, after in zip(ordered, [*ordered[1:], None], strict=True):
        end_s = window.start_s + window.length / fps
        if after is not None and after.start_s < end_s - half:
            raise refused(
                film.file, f"it starts at {after.start_s:.3f} s, episode {window.episode} ends at {end_s:.3f} s",
                leave_out(after.episode), expected="a part of the film for each episode", episode=after.episode,
            )  # fmt: skip
        if window.end_s is not None and abs(window.end_s - end_s) > half:
            seconds = window.end_s - window.start_s
            raise refused(
                film.file, f"its part lasts {seconds:.3f} s ({seconds * fps:.0f} frames)", leave_out(window.episode),
                expected=f"{window.length} frames, as many as it has rows", episode=window.episode,
            )  # fmt: skip
        inside = film.times_s[(film.times_s >= window.start_s - half) & (film.times_s < end_s - half)]
        _require_count(film, len(inside), window)
        _require_times(film, inside - window.start_s, window, fps)
        claimed += len(inside)
    last_s = max(window.start_s + window.length / fps for window in [*ordered, *unasked])
    behind = int((film.times_s >= last_s - half).sum())
    if behind:
        raise refused(
            film.file, f"{len(film.times_s)} frames, {claimed} of them of its {len(ordered)} episodes, {behind} behind the last "
            "one, so a frame may be there twice and the pictures late", "export the film again from its frames, or give "
            f"demos.leave_out=[{','.join(str(window.episode) for window in ordered)}]",
            expected="as many frames as its episodes have rows", episode=ordered[-1].episode, frame=ordered[-1].length,
        )  # fmt: skip


def _require_count(film: Film, count: int, window: Window) -> None:
    if count == window.length:
        return
    frame, what = min(count, window.length), "fewer" if count < window.length else "more"
    raise refused(
        film.file,
        f"{count} frames, {abs(count - window.length)} {what} than its {window.length} rows: its pictures and rows cannot be "
        "told to belong together",
        f"export the film again from its frames, or give demos.leave_out=[{window.episode}]",
        expected=f"{window.length} frames",
        episode=window.episode,
        frame=frame,
    )


def _require_times(film: Film, times_s: np.ndarray, window: Window, fps: float) -> None:
    wrong = np.flatnonzero(np.abs(times_s * fps - np.arange(len(times_s))) > ON_TIME)
    if len(wrong):
        frame = int(wrong[0])
        rate = (len(times_s) - 1) / (times_s[-1] - times_s[0]) if times_s[-1] > times_s[0] else 0.0
        raise refused(
            film.file, f"this frame is shown at {times_s[frame]:.3f} s; the film has {rate:.4g} frames a second",
            f"export it at {fps:g} frames a second, or give demos.leave_out=[{window.episode}]",
            expected=f"{frame / fps:.3f} s ({fps:g} frames a second)", episode=window.episode, frame=frame,
        )  # fmt: skip
