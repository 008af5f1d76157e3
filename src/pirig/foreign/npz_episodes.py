"""Episodes of an arm as npz files, one a file, each asked on its own: what is wrong with one leaves it out as a whole.

Keys: agent_images and wrist_images u8 [T, H, W, 3], states and actions [T, 8] (seven joints and the gripper), task (a
sentence), collection_frequency in Hz. They are given the names that a LeRobot recorder of the same arm would give them, so that
one path reads both. `pirig collect` and `pirig robot` write such files (`robots/episode.py`).
"""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pirig.foreign import npz
from pirig.foreign.faults import ForeignFileError, refused, shown
from pirig.foreign.kinds import EPISODES, episode_files
from pirig.foreign.lerobot import FASTEST_FPS, EpisodeMeta

NUMBERS = {"observation.state": "states", "action": "actions"}  # by column
PICTURES = {"observation.images.base": "agent_images", "observation.images.wrist": "wrist_images"}
TASK, RATE = "task", "collection_frequency"
READ = (*PICTURES.values(), *NUMBERS.values(), TASK, RATE)
NEEDED = tuple(key for key in READ if key != TASK)
LEAST_FRAMES = 5
LARGEST = 1e6  # no angle, in degrees neither, and no register of a gripper is larger
LARGEST_ARRAY_BYTES = 16 << 30
NO_TASK = "Grab the target object"
AGAIN = "copy it again, or record the episode again"


class Format(NamedTuple):
    """What all files of a recording have in common: widths of the numbers, (width, height) of the pictures, the rate."""

    widths: tuple[int, ...]
    sizes: tuple[tuple[int, int] | None, ...]
    fps: float

    def __str__(self) -> str:
        numbers = ", ".join(f"{key} of {width}" for key, width in zip(NUMBERS.values(), self.widths, strict=True))
        told = [
            f"{key} of {size[0]} x {size[1]} px"
            for key, size in zip(PICTURES.values(), self.sizes, strict=True)
            if size
        ]
        return f"{numbers}, {', '.join(told) or 'no pictures'}, {self.fps:g} Hz"


@dataclass(frozen=True)
class ArmEpisode:
    """`unread`: keys that hold Python objects and are not needed."""

    file: Path
    length: int
    task: str
    format: Format
    unread: tuple[str, ...] = ()


@dataclass
class NpzMeta:
    """See `foreign.recording.RecordingMeta`. An episode's number is its file's place among all files, good or bad; `faults`:
    what is wrong with the files that cannot be used, by that number."""

    path: Path
    files: list[Path]
    good: dict[int, ArmEpisode]
    faults: dict[int, ForeignFileError]
    format: Format
    episodes: list[EpisodeMeta] = field(init=False)

    def __post_init__(self) -> None:
        self.episodes = [EpisodeMeta(number, one.length, (one.task or NO_TASK,)) for number, one in self.good.items()]

    @property
    def folder(self) -> Path:
        return self.path

    @property
    def info_file(self) -> Path:
        return self.path

    @property
    def fps(self) -> float:
        return self.format.fps

    @property
    def sentences(self) -> list[str]:
        return []

    def image_columns(self) -> list[str]:
        return [column for column in PICTURES if self.image_size(column)]

    def image_size(self, column: str) -> tuple[int, int] | None:
        return dict(zip(PICTURES, self.format.sizes, strict=True)).get(column)

    def leave_out(self, number: int, fault: ForeignFileError) -> None:
        """Of what was found wrong with a file later."""
        self.good.pop(number, None)
        self.faults[number] = fault
        self.episodes = [episode for episode in self.episodes if episode.index != number]


def read_episodes(path: Path, left_out: Collection[int] = ()) -> NpzMeta:
    """Every file but the numbers `left_out`, without its pictures. Raises ForeignFileError where none can be used.

    A file that has another rate, width or size than most is a bad one.
    """
    files = episode_files(path)
    good: dict[int, ArmEpisode] = {}
    faults: dict[int, ForeignFileError] = {}
    for number, file in enumerate(files):
        if number in left_out:
            continue
        try:
            good[number] = looked_at(file)
        except ForeignFileError as fault:
            faults[number] = fault
    if not good:
        raise _nothing(path, files, faults)
    usual = Counter(one.format for one in good.values()).most_common(1)[0][0]
    for number, one in list(good.items()):
        if one.format != usual:
            del good[number]
            faults[number] = refused(one.file, str(one.format), AGAIN, expected=f"{usual}, as most files have it")
    return NpzMeta(Path(path), files, good, dict(sorted(faults.items())), usual)


def _nothing(path: Path, files: list[Path], faults: dict[int, ForeignFileError]) -> ForeignFileError:
    if len(faults) == 1 and len(files) == 1:
        return next(iter(faults.values()))
    told = f"none of its {len(files)} episodes can be used"
    first = f" (the first: {next(iter(faults.values()))})" if faults else " (demos.leave_out names all of them)"
    return refused(path, told + first, "record them again, or copy them again", expected=f"good files {EPISODES}")


def looked_at(file: Path) -> ArmEpisode:
    """What a file says, without its pictures. Raises ForeignFileError."""
    told = file.stat()
    return _looked_at(file, told.st_size, told.st_mtime_ns)


@lru_cache(maxsize=4096)
def _looked_at(file: Path, size: int, time_ns: int) -> ArmEpisode:
    """`size`, `time_ns`: of the file, so that a changed one is looked at again."""
    try:
        heads = npz.headers(file, READ)
    except ValueError as error:
        raise refused(file, str(error).removeprefix(f"{file}: ").rpartition(";")[0], AGAIN) from error
    missing = [key for key in NEEDED if key not in heads]
    if missing:
        there = f"no {', '.join(missing)} (it has {', '.join(heads) or 'nothing'})"
        raise refused(file, there, "record the episode again", expected=f"the keys {', '.join(READ)}")
    length = _require_lengths(file, heads)
    numbers = [_numbers(file, heads, key) for key in NUMBERS.values()]
    sizes = tuple(_size(file, key, heads[key]) for key in PICTURES.values())
    format = Format(tuple(values.shape[1] for values in numbers), sizes, _rate(file))
    unread = tuple(key for key, head in heads.items() if key not in READ and head.dtype.hasobject)
    return ArmEpisode(file, length, _task(file) if TASK in heads else "", format, unread)


def _require_lengths(file: Path, heads: dict[str, npz.Header]) -> int:
    shapes = {key: heads[key].shape for key in READ[:4]}
    lengths = {key: shape[0] for key, shape in shapes.items() if len(shape) and not _is_absent(key, shape)}
    if len(set(lengths.values())) != 1:
        told = ", ".join(f"{key} {list(shape)}" for key, shape in shapes.items())
        raise refused(
            file, f"its arrays have different lengths ({told})", AGAIN, expected="a row of each for every frame"
        )
    length = next(iter(lengths.values()))
    if length < LEAST_FRAMES:
        raise refused(file, f"{length} frames", "record the episode again", expected=f"at least {LEAST_FRAMES} frames")
    return length


def _is_absent(key: str, shape: tuple[int, ...]) -> bool:
    """An arm without this camera keeps an empty array for it."""
    return key in PICTURES.values() and 0 in shape[:1]


def _numbers(file: Path, heads: dict[str, npz.Header], key: str) -> np.ndarray:
    head = heads[key]
    if head.dtype.kind not in "fiu" or len(head.shape) != 2 or not head.shape[1]:
        raise refused(
            file, f"{key} is {head.dtype} {list(head.shape)}", "record the episode again",
            expected="numbers [frames, 8]: seven joints and the gripper",
        )  # fmt: skip
    values = read(file, key).astype(np.float64)
    bad = np.argwhere(~(np.abs(values) <= LARGEST))
    if len(bad):
        frame, number = (int(place) for place in bad[0])
        raise refused(
            file, f"number {number} of {key} is {values[frame, number]:g}", "record the episode again",
            expected=f"a finite number up to {LARGEST:g}", frame=frame,
        )  # fmt: skip
    return values


def _size(file: Path, key: str, head: npz.Header) -> tuple[int, int] | None:
    if _is_absent(key, head.shape):
        return None
    if head.dtype != np.uint8 or len(head.shape) != 4 or head.shape[3] != 3 or 0 in head.shape:
        there = f"{key} is {head.dtype} {list(head.shape)}"
        raise refused(file, there, "record the episode again", expected="uint8 [frames, height, width, 3]")
    gib = np.prod(head.shape, dtype=np.float64) / (1 << 30)
    if gib * (1 << 30) > LARGEST_ARRAY_BYTES:
        raise refused(file, f"{key} holds {gib:.0f} GiB", "cut the episode into parts", expected="at most 16 GiB")
    return head.shape[2], head.shape[1]


def _rate(file: Path) -> float:
    told = read(file, RATE)
    value = told.reshape(-1)[0] if told.size == 1 and told.dtype.kind in "fiu" else None
    if value is None or not 0 < float(value) <= FASTEST_FPS:
        there = f"{RATE} is {shown(told.tolist())}"
        raise refused(file, there, "record the episode again", expected="its frames a second, above 0 and up to 1000")
    return round(float(value), 6)


def _task(file: Path) -> str:
    told = read(file, TASK)
    sentences = {_text(value).strip() for value in told.reshape(-1)} if told.dtype.kind in "US" else None
    if sentences is None or len(sentences) > 1:
        raise refused(file, f"{TASK} is {shown(told.tolist())}", "record the episode again", expected="one sentence")
    return next(iter(sentences), "")


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def read(file: Path, key: str) -> np.ndarray:
    """An array of a file that has been looked at. Raises ForeignFileError where its bytes are damaged."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return arrays[key]
    except (*npz.UNREADABLE, KeyError, MemoryError) as error:
        raise refused(file, f"{key} cannot be read ({' '.join(str(error).split())[:120]})", AGAIN) from error


def require_pictures(one: ArmEpisode, columns: Sequence[str]) -> None:
    """Raises ForeignFileError where the pictures of one of these columns are damaged; they are read for that."""
    told = one.file.stat()
    for column in columns:
        if fault := _damage(one.file, PICTURES[column], told.st_size, told.st_mtime_ns):
            raise ForeignFileError(fault)


@lru_cache(maxsize=4096)
def _damage(file: Path, key: str, size: int, time_ns: int) -> str:
    """What is wrong with an array's bytes, which need not fit into memory for that; "" where nothing is."""
    try:
        with zipfile.ZipFile(file) as archive, archive.open(f"{key}.npy") as member:
            while member.read(1 << 24):
                pass
    except npz.UNREADABLE as error:
        return str(refused(file, f"{key} cannot be read ({' '.join(str(error).split())[:120]})", AGAIN))
    return ""
