"""Films of an episode's frames: encoded (h264 or AV1, by PyAV) with the loss measured, joined and cut without encoding again."""

from __future__ import annotations

import itertools
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from pirig.foreign.films import cannot_decode

KEYFRAME_EVERY = 2  # as lerobot: any frame is reached by decoding one other
PIXELS = "yuv420p"  # what every player and every LeRobot reader takes; a colour for each 2 x 2 pixels
ENCODERS = {
    # without its lookahead, whose macroblock tree gave one film in a hundred of 32 px other bytes of the same frames
    "h264": ("libx264", {"crf": "18", "bf": "0", "preset": "veryfast", "x264-params": "rc-lookahead=0"}),
    "av1": ("libsvtav1", {"crf": "30", "preset": "12", "svtav1-params": "lp=1"}),
}
USUAL_CODEC = "h264"
PEAK = 255.0
SAME_DB = 99.0  # what is written where no number differs
TICKS = 512  # of a film's clock in a frame, so that any place of a frame is a whole number


@dataclass(frozen=True)
class Loss:
    """What encoding changed: squared error summed over frames (each a mean over its numbers), and that of the worst frame."""

    frames: int = 0
    squared: float = 0.0
    worst: float = 0.0

    def __add__(self, other: Loss) -> Loss:
        return Loss(self.frames + other.frames, self.squared + other.squared, max(self.worst, other.worst))

    @property
    def db(self) -> float:
        """Peak signal-to-noise ratio over all frames."""
        return _db(self.squared / max(self.frames, 1))

    @property
    def worst_db(self) -> float:
        """That of the worst frame."""
        return _db(self.worst)


def _db(mean_squared: float) -> float:
    return min(10 * math.log10(PEAK**2 / mean_squared), SAME_DB) if mean_squared > 0 else SAME_DB


def require_even(key: str, width_px: int, height_px: int) -> None:
    """Raises ValueError where such pictures cannot become a film."""
    if width_px % 2 or height_px % 2:
        raise ValueError(
            f"{key} is {width_px} x {height_px} px; a film needs even sides (a colour stands for 2 x 2 pixels); keep "
            f"dataset.storage=images, or crop it first (pirig dataset edit --crop)"
        )


def encode(file: Path, frames: Callable[[], Iterable[np.ndarray]], fps: float, codec: str) -> Loss:
    """Writes frames u8 [H, W, 3] as a film and reads it back: what it lost, over every frame. `frames` is called twice.

    Raises ValueError where the film has another number of frames than went in.
    """
    import av

    os.environ.setdefault("SVT_LOG", "1")  # its errors alone
    encoder, options = ENCODERS[codec]
    file.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(file), "w", format="mp4") as container:
        stream: Any = container.add_stream(encoder, rate=_rate(fps), options={**options, "g": str(KEYFRAME_EVERY)})
        stream.codec_context.thread_count = 1  # the bytes follow from the frames alone
        stream.pix_fmt = PIXELS
        for number, frame in enumerate(frames()):
            if not number:
                stream.height, stream.width = frame.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode())
    return loss_of(file, frames())


def loss_of(file: Path, frames: Iterable[np.ndarray]) -> Loss:
    """What a film shows otherwise than the frames it was made of. Raises ValueError where they are not as many."""
    loss, pairs = Loss(), itertools.zip_longest(frames, decoded_frames(file))
    for number, (frame, decoded) in enumerate(pairs):
        if frame is None or decoded is None:
            what = "has no" if decoded is None else "has a"
            raise ValueError(f"{file}: it {what} frame {number}, unlike what went in; is the disk full?")
        squared = float(np.mean((frame.astype(np.float32) - decoded) ** 2))
        loss += Loss(1, squared, squared)
    return loss


def _rate(fps: float) -> Fraction:
    return Fraction(fps).limit_denominator(100_000)


def through(image: np.ndarray, fps: float, codec: str) -> np.ndarray:
    """A picture u8 [H, W, 3] as the first frame of a film shows it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "one.mp4"
        encode(file, lambda: [image], fps, codec)
        return next(decoded_frames(file))


def decoded_frames(file: Path) -> Iterator[np.ndarray]:
    """Every frame u8 [H, W, 3] of a film, in the order of their times. Raises ForeignFileError where one cannot be decoded."""
    import av
    from av.video.reformatter import VideoReformatter

    to_rgb = VideoReformatter()  # one for all frames: each would make its own
    try:
        with av.open(str(file)) as container:
            container.streams.video[0].thread_type = "AUTO"
            for frame in container.decode(video=0):
                yield to_rgb.reformat(frame, format="rgb24").to_ndarray()
    except (av.error.FFmpegError, av.codec.codec.UnknownCodecError) as error:
        raise cannot_decode(file, error) from error


class Joiner:
    """Episodes' films one after the other in one file; packets are copied, so no picture changes."""

    def __init__(self, file: Path, fps: float) -> None:
        import av

        file.parent.mkdir(parents=True, exist_ok=True)
        self.fps, self.frames = fps, 0
        self.container = av.open(str(file), "w", format="mp4")
        self.stream: Any = None
        self.kind: tuple[Any, ...] = ()

    def takes(self, film: Path) -> bool:
        """Whether it is of the same kind as those that are there: a player reads one set of settings for a file."""
        return not self.kind or kind_of(film) == self.kind

    def add(self, film: Path) -> None:
        import av

        with av.open(str(film)) as source:
            stream: Any = source.streams.video[0]
            if self.stream is None:
                self.stream = self.container.add_stream_from_template(stream, opaque=True)
                self.stream.time_base = 1 / (_rate(self.fps) * TICKS)
                self.kind = kind_of(film)
            first, count = None, 0
            for packet in source.demux(stream):
                if packet.dts is None:
                    continue
                first = packet.pts if first is None else first
                _move(packet, stream.time_base, self.fps, self.frames, first)
                packet.stream = self.stream
                self.container.mux(packet)
                count += 1
            self.frames += count

    def close(self) -> None:
        self.container.close()


def _move(packet: Any, time_base: Fraction, fps: float, frames: int, first: int) -> None:
    """Its times so many frames later, on a clock of whole ticks."""
    clock = 1 / (_rate(fps) * TICKS)
    ticks = time_base / clock
    lag = packet.pts - packet.dts
    packet.pts = round((packet.pts - first) * ticks) + frames * TICKS
    packet.dts = packet.pts - round(lag * ticks)
    packet.duration = TICKS
    packet.time_base = clock


def kind_of(film: Path) -> tuple[Any, ...]:
    """What films that are joined must have in common."""
    import av

    with av.open(str(film)) as container:
        context = container.streams.video[0].codec_context
        return context.name, context.width, context.height, context.pix_fmt, bytes(context.extradata or b"")


def cut(source: Path, target: Path, start_s: float, length: int, fps: float) -> bool:
    """Copies `length` frames from `start_s` into a film of their own; False where no keyframe stands at their beginning, or
    others follow within, so that copying would lose or add a picture."""
    import av

    with av.open(str(source)) as container:
        stream: Any = container.streams.video[0]
        base = stream.time_base
        half = 0.5 / fps
        container.seek(max(0, round((start_s + half / 2) / base)), stream=stream, backward=True)
        packets: list[Any] = []
        for packet in container.demux(stream):
            if packet.pts is None or packet.size == 0:
                continue
            at_s = float(packet.pts * base)
            if packet.is_keyframe and at_s > start_s + length / fps - half:
                break
            if at_s > start_s - half:
                packets.append(packet)
        times = sorted(float(packet.pts * base) for packet in packets)
        whole = len(times) == length and packets[0].is_keyframe and abs(times[0] - start_s) < half
        if not whole or packets[0].pts != min(packet.pts for packet in packets):
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(target), "w", format="mp4") as output:
            copy: Any = output.add_stream_from_template(stream, opaque=True)
            copy.time_base = 1 / (_rate(fps) * TICKS)
            first = packets[0].pts
            for packet in packets:
                _move(packet, base, fps, 0, first)
                packet.stream = copy
                output.mux(packet)
    return True


def described(film: Path, fps: float) -> dict[str, Any]:
    """What LeRobot's info.json says of a film."""
    import av

    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        return {
            "video.height": context.height,
            "video.width": context.width,
            "video.codec": stream.codec.canonical_name,
            "video.pix_fmt": context.pix_fmt,
            "video.is_depth_map": False,
            "video.fps": int(fps) if fps == int(fps) else fps,
            "video.channels": 3,
            "has_audio": False,
        }


def told(loss: Loss) -> dict[str, Any]:
    """What info.json says of it beside LeRobot's own keys."""
    return {"pirig.psnr_db": round(loss.db, 2), "pirig.psnr_db_worst_frame": round(loss.worst_db, 2)}


def sentence(codec: str, loss: Loss) -> str:
    return (
        f"{codec} has lost detail: {loss.db:.1f} dB (PSNR) over {loss.frames} frames, the worst one {loss.worst_db:.1f} dB; "
        "kept as images, nothing is lost"
    )
