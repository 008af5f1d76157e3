"""What the meta folder of a LeRobot data set says (v2.0, v2.1, v3.0), validated once.

Written from the public LeRobot sources (Apache-2.0, v0.4.4); lerobot itself is not needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from pirig.foreign import tables
from pirig.foreign.faults import refused, shown
from pirig.foreign.kinds import INFO
from pirig.foreign.schema import Foreign, Number, Whole, validated
from pirig.foreign.text import read_json, read_json_lines

VERSIONS = ("v2.0", "v2.1", "v3.0")
V3 = "v3.0"
CORRECT = "correct it there, or copy the data set again"
EPISODES_V2, EPISODES_V3 = "meta/episodes.jsonl", "meta/episodes"
TASKS_V2, TASKS_V3 = "meta/tasks.jsonl", "meta/tasks.parquet"
OWN_COLUMNS = ("timestamp", "frame_index", "episode_index", "index", "task_index")
PICTURES = ("image", "video")
DATA_PATHS = {
    True: "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
    False: "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
}
CHANNELS = (1, 3, 4)
FASTEST_FPS = 1000.0
MOST = 10**12  # frames of a data set


def _rate(value: float) -> float:
    if not math.isfinite(value) or not 0 < value <= FASTEST_FPS:
        raise ValueError("no rate")
    return value


class Feature(Foreign):
    """A column; `shape` without the frames. `names` have as many forms as there are recorders."""

    dtype: Annotated[str, Field(min_length=1)]
    shape: list[Annotated[Whole, Field(ge=1)]]
    names: Any = None

    @property
    def width(self) -> int:
        """Numbers in a row; a shape [] is one number."""
        return math.prod(self.shape)

    @property
    def number_names(self) -> list[str]:
        """A name for each number, whatever they are nested in; [] where the names are not as many."""
        flat = list(_flattened(self.names))
        return flat if len(flat) == self.width else []

    @property
    def misnamed(self) -> int:
        """So many names, which are not as many as the numbers; 0 where they fit, or one stands for all of them."""
        count = len(list(_flattened(self.names)))
        return 0 if self.dtype in PICTURES or count in (0, 1, self.width) else count


def _flattened(names: Any) -> Iterable[str]:
    if isinstance(names, Mapping):
        nested = [value for value in names.values() if isinstance(value, list | Mapping)]
        for part in nested or [list(names)]:
            yield from _flattened(part)
    elif isinstance(names, list):
        for part in names:
            yield from _flattened(part)
    elif names is not None:
        yield str(names)


class Info(Foreign):
    EXPECTED: ClassVar[Mapping[str, str]] = {
        "codebase_version": f"one of {', '.join(VERSIONS)}",
        "fps": f"a number of frames a second above 0 and up to {FASTEST_FPS:g}, such as 10",
        "features": "an entry with dtype and shape for each column",
        "dtype": "a type such as float32, image or video",
        "shape": "a list of whole numbers from 1, such as [8] or [480, 640, 3]",
        "chunks_size": "a whole number from 1",
        "data_path": f"a path such as {DATA_PATHS[False]}",
        "video_path": "a path such as videos/{video_key}/episode_{episode_index:06d}.mp4",
        "total_episodes": "a whole number from 0",
        "total_frames": "a whole number from 0",
    }
    codebase_version: str
    fps: Annotated[Number, AfterValidator(_rate)]
    features: Annotated[dict[str, Feature], Field(min_length=1)]
    total_episodes: Annotated[Whole, Field(ge=0, le=MOST)] | None = None
    total_frames: Annotated[Whole, Field(ge=0, le=MOST)] | None = None
    chunks_size: Annotated[Whole, Field(ge=1)] | None = None
    data_path: str | None = None
    video_path: str | None = None
    robot_type: Any = None

    @property
    def is_v3(self) -> bool:
        return self.codebase_version == V3


class EpisodeLine(Foreign):
    EXPECTED: ClassVar[Mapping[str, str]] = {
        "episode_index": "a whole number from 0",
        "length": "its number of frames, a whole number from 0",
        "tasks": "a list of sentences",
    }
    episode_index: Annotated[Whole, Field(ge=0)]
    length: Annotated[Whole, Field(ge=0)]
    tasks: list[str] | str | None = None


class TaskLine(Foreign):
    EXPECTED: ClassVar[Mapping[str, str]] = {"task_index": "a whole number from 0", "task": "a sentence"}
    task_index: Annotated[Whole, Field(ge=0)]
    task: str | None = None


@dataclass(frozen=True)
class EpisodeMeta:
    """`places`: what a v3.0 row says of where the episode lies, by column; {} in v2.x."""

    index: int
    length: int
    tasks: tuple[str, ...]
    places: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Meta:
    """`tasks`: sentence by task_index; {} where the data set has none. `episodes` in the order of their numbers."""

    folder: Path
    info: Info
    episodes: list[EpisodeMeta]
    tasks: dict[int, str]

    @property
    def info_file(self) -> Path:
        return self.folder / INFO

    @property
    def fps(self) -> float:
        return self.info.fps

    @property
    def episodes_file(self) -> Path:
        return self.folder / (EPISODES_V3 if self.info.is_v3 else EPISODES_V2)

    @property
    def tasks_file(self) -> Path:
        return self.folder / (TASKS_V3 if self.info.is_v3 else TASKS_V2)

    @property
    def sentences(self) -> list[str]:
        """What the episodes are labelled with, each once."""
        return list(dict.fromkeys(task for task in self.tasks.values() if task))

    def image_columns(self) -> list[str]:
        return [name for name, feature in self.info.features.items() if feature.dtype in PICTURES]

    def image_size(self, column: str) -> tuple[int, int] | None:
        """(width, height) in px; None where there is no such column of pictures. Raises ForeignFileError for another shape."""
        feature = self.info.features.get(column)
        if feature is None or feature.dtype not in PICTURES:
            return None
        size = _size(feature)
        if size is None:
            raise refused(
                self.info_file,
                f"features.{column} has shape {feature.shape} and names {shown(feature.names)}",
                CORRECT,
                expected="[height, width, 3] or [3, height, width]",
            )
        return size


def _size(feature: Feature) -> tuple[int, int] | None:
    """By the names of the sides (height or h ...) where they fit the shape; else the side of 1, 3 or 4 is the channels."""
    if len(feature.shape) != 3:
        return None
    names = [str(name)[:1].lower() for name in feature.names] if isinstance(feature.names, list) else []
    if sorted(names) == ["c", "h", "w"]:
        sides = dict(zip(names, feature.shape, strict=True))
        if sides["c"] in CHANNELS:
            return sides["w"], sides["h"]
    first, middle, last = feature.shape
    if last in CHANNELS:
        return middle, first
    return (last, middle) if first in CHANNELS else None


def read_meta(folder: Path) -> Meta:
    """Raises ForeignFileError where the folder is no LeRobot data set, or its meta folder is damaged or contradicts itself."""
    folder = Path(folder)
    info = read_info(folder)
    episodes = _episodes_v3(folder) if info.is_v3 else _episodes_v2(folder)
    meta = Meta(folder, info, sorted(episodes, key=lambda episode: episode.index), _tasks(folder, info))
    _require_counts(meta)
    return meta


def read_info(folder: Path) -> Info:
    file = folder / INFO
    if not file.is_file():
        raise refused(
            folder,
            f"no {INFO} there, so this is no LeRobot data set",
            "give the folder that holds meta/, data/ and videos/ (demos.path=FOLDER)",
        )
    raw = read_json(file)
    version = raw.get("codebase_version")
    if version not in VERSIONS:
        raise refused(
            file,
            f"LeRobot version {version}",
            "convert it with LeRobot's own converter first",
            expected=f"one of {', '.join(VERSIONS)}",
        )
    return validated(Info, raw, file, CORRECT)


def _episodes_v2(folder: Path) -> list[EpisodeMeta]:
    file, episodes = folder / EPISODES_V2, dict[int, EpisodeMeta]()
    for number, row in read_json_lines(file):
        _add(episodes, _episode(row, file, f"line {number}: "), file)
    return list(episodes.values())


def _episodes_v3(folder: Path) -> list[EpisodeMeta]:
    files = sorted((folder / EPISODES_V3).rglob("*.parquet"))
    if not files:
        raise refused(folder / EPISODES_V3, "no .parquet file there", "copy the whole meta folder again")
    episodes: dict[int, EpisodeMeta] = {}
    for file in files:
        names = [name for name in tables.column_names(file) if not name.startswith("stats/")]
        for number, row in enumerate(tables.read(file, names).to_pylist()):
            _add(episodes, _episode(row, file, f"row {number}: "), file)
    return list(episodes.values())


def _episode(row: dict[str, Any], file: Path, where: str) -> EpisodeMeta:
    line = validated(EpisodeLine, row, file, CORRECT, where)
    tasks = [line.tasks] if isinstance(line.tasks, str) else line.tasks or []
    places = {name: value for name, value in row.items() if name.startswith(("data/", "videos/"))}
    return EpisodeMeta(line.episode_index, line.length, tuple(task.strip() for task in tasks), places)


def _add(episodes: dict[int, EpisodeMeta], episode: EpisodeMeta, file: Path) -> None:
    if episode.index in episodes:
        raise refused(
            file, "it is there twice", "remove one of the two lines", expected="a line each", episode=episode.index
        )
    episodes[episode.index] = episode


def _tasks(folder: Path, info: Info) -> dict[int, str]:
    """By whichever of the two files is there; both are read, whatever the version says."""
    lines, table = folder / TASKS_V2, folder / TASKS_V3
    if table.exists() and (info.is_v3 or not lines.exists()):
        return _task_table(table)
    if not lines.exists():
        return {}
    tasks: dict[int, str] = {}
    for number, row in read_json_lines(lines):
        _add_task(tasks, validated(TaskLine, row, lines, CORRECT, f"line {number}: "), lines)
    return tasks


def _add_task(tasks: dict[int, str], line: TaskLine, file: Path) -> None:
    sentence = (line.task or "").strip()
    if tasks.setdefault(line.task_index, sentence) != sentence:
        both = f"task_index {line.task_index} is {shown(tasks[line.task_index])} and {shown(sentence)}"
        raise refused(file, both, CORRECT, expected="one sentence for each task_index")


def _task_table(file: Path) -> dict[int, str]:
    """v3.0 keeps the sentences as the table's index, which has a name of its own or none; so the column is found by name."""
    table = tables.read(file)
    sentences = _sentence_column(file, table)
    indices = table["task_index"].to_pylist() if "task_index" in table.column_names else list(range(len(table)))
    tasks: dict[int, str] = {}
    for number, (index, sentence) in enumerate(zip(indices, table[sentences].to_pylist(), strict=True)):
        row = {"task_index": index, "task": sentence}
        _add_task(tasks, validated(TaskLine, row, file, CORRECT, f"row {number}: "), file)
    return tasks


def _sentence_column(file: Path, table: Any) -> str:
    names = table.column_names
    indexed = [name for name in tables.pandas_index(table) if name in names and name != "task_index"]
    texts = [name for name in names if tables.is_text(table.schema.field(name).type)]
    for name in ("task", "__index_level_0__", *indexed):
        if name in texts:
            return name
    if len(texts) == 1:
        return texts[0]
    raise refused(
        file,
        f"which column holds the sentences cannot be told (it has {', '.join(names) or 'none'})",
        "name it task",
        expected="a column task of text beside task_index",
    )


def _require_counts(meta: Meta) -> None:
    """At least one episode, and as many as info.json counts."""
    if not meta.episodes:
        raise refused(meta.episodes_file, "it names no episodes", "record the data set again, or copy it again")
    _require_same(meta, "total_episodes", meta.info.total_episodes, len(meta.episodes), _absent(meta))


def require_frames(meta: Meta) -> None:
    """Raises ForeignFileError where info.json counts other frames than the episodes have together."""
    frames = sum(episode.length for episode in meta.episodes)
    _require_same(meta, "total_frames", meta.info.total_frames, frames)


def _require_same(meta: Meta, name: str, told: int | None, counted: int, more: str = "") -> None:
    if told is not None and told != counted:
        raise refused(
            meta.info_file,
            f"{name} is {told}, {meta.episodes_file.name} says {counted} {name.removeprefix('total_')}{more}",
            "copy the data set again, or correct the one that is wrong",
            expected="the same number in both",
        )


def _absent(meta: Meta) -> str:
    """Which of the numbers that info.json counts have no line."""
    named = {episode.index for episode in meta.episodes}
    absent = [number for number in range(min(meta.info.total_episodes or 0, 10**6)) if number not in named]
    return f" (no line for episode {', '.join(map(str, absent[:6]))})" if absent else ""


def unread_stats(meta: Meta) -> list[str]:
    """What is wrong with the statistics that LeRobot keeps; a note, since pirig computes its own from the rows."""
    notes = []
    for name, read in (("stats.json", read_json), ("episodes_stats.jsonl", read_json_lines)):
        file = meta.folder / "meta" / name
        try:
            if file.exists():
                read(file)
        except ValueError as error:
            notes.append(f"{error} (It is not used: statistics are computed from the rows.)")
    return notes
