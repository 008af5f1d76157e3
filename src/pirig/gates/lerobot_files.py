"""Gates of any LeRobot data set, anybody's: do its files agree, is every picture there, are its statistics its own?

Each answers with the first fault of its kind, with file, episode and frame. lerobot trusts what is asked here: it finds rows by
meta/'s numbers and sentences by their place in the table, and normalises by the statistics that lie there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pirig.datasets.lerobot.source import LeRobotSource
from pirig.files.at_once import in_order
from pirig.files.progress import Progress
from pirig.foreign import tables
from pirig.foreign.faults import ForeignFileError, refused
from pirig.foreign.lerobot import EPISODES_V3, INFO, EpisodeMeta
from pirig.foreign.text import read_json, read_json_lines

AGAIN = "write the data set anew: pirig dataset convert"
CLOSE = 1e-3  # of a column's span
COMPARED = ("min", "max", "mean", "std")
Gates = dict[str, Callable[[], list[str]]]


def gates(source: LeRobotSource) -> Gates:
    return {
        "rows": lambda: _first_fault(lambda: _rows(source)),
        "counts": lambda: _first_fault(lambda: _counts(source)),
        "sentences": lambda: _first_fault(lambda: _sentences(source)),
        "frames": lambda: _first_fault(lambda: _frames(source)),
        "stored_statistics": lambda: _first_fault(lambda: _statistics(source)),
    }


def _first_fault(gate: Callable[[], None]) -> list[str]:
    try:
        gate()
    except ValueError as error:
        return [str(error)]
    return []


def _rows(source: LeRobotSource) -> None:
    """As `pirig convert` asks, of all columns; then what lerobot finds rows by: index counts on, and meta/ says the same."""
    source.examine()
    first = 0
    told = _told_places(source)
    for episode in source.episodes:
        rows = source.index.of(episode.index)
        if "index" in source.features:
            index = source.numbers(episode, ["index"])[:, 0]
            wrong = np.flatnonzero(index != first + np.arange(len(index)))
            if len(wrong):
                frame = int(wrong[0])
                raise refused(
                    rows.file, f"index is {index[frame]:.0f}", AGAIN, expected=f"{first + frame}, counted over all episodes",
                    episode=episode.index, frame=frame,
                )  # fmt: skip
        if episode.index in told and told[episode.index] != (first, first + episode.length):
            raise refused(
                source.folder / EPISODES_V3, f"dataset_from_index and dataset_to_index are {told[episode.index]}", AGAIN,
                expected=f"{(first, first + episode.length)}, where its rows lie", episode=episode.index,
            )  # fmt: skip
        first += episode.length


def _told_places(source: LeRobotSource) -> dict[int, tuple[int, int]]:
    """From which row to which meta/ says that an episode lies; {} in v2.x."""
    names = ["episode_index", "dataset_from_index", "dataset_to_index"]
    told: dict[int, tuple[int, int]] = {}
    for file in sorted((source.folder / EPISODES_V3).rglob("*.parquet")) if source.info.is_v3 else ():
        if set(names) <= set(tables.column_names(file)):
            rows = tables.read(file, names).to_pylist()
            told |= {row[names[0]]: (row[names[1]], row[names[2]]) for row in rows}
    return told


def _counts(source: LeRobotSource) -> None:
    """info.json counts tasks, films and chunks as there are, and its splits lie within the episodes."""
    info = read_json(source.folder / INFO)
    episodes, films = len(source.episodes), _films(source)
    counted = {"total_tasks": len(source.meta.tasks) or None}
    if not source.info.is_v3:
        counted |= {"total_videos": episodes * len(films)}
    for name, count in counted.items():
        if count is not None and isinstance(info.get(name), int) and info[name] != count:
            raise _of_info(source, f"{name} is {info[name]}", f"{count}, as many as there are")
    splits = info.get("splits")
    for name, part in splits.items() if isinstance(splits, dict) else ():
        first, _, last = str(part).partition(":")
        if not (first.isdigit() and last.isdigit() and int(first) < int(last) <= episodes):
            raise _of_info(source, f"splits.{name} is {part!r}", f"a range within 0:{episodes}")


def _of_info(source: LeRobotSource, there: str, expected: str) -> ForeignFileError:
    return refused(source.folder / INFO, there, "correct it there", expected=expected)


def _sentences(source: LeRobotSource) -> None:
    """Every episode is told something, and the table counts from 0: lerobot takes the place of a row for its number."""
    file, tasks = source.meta.tasks_file, source.meta.tasks
    if not tasks:
        raise refused(file, "there are no sentences, so a policy cannot be told what to do", "write the table of tasks")
    if list(tasks) != list(range(len(tasks))):
        raise refused(
            file,
            f"task_index goes {', '.join(map(str, list(tasks)[:6]))}",
            AGAIN,
            expected="0, 1, 2, ... in this order",
        )
    for number, sentence in tasks.items():
        if not sentence:
            raise refused(file, f"the sentence of task_index {number} is empty", "write what the robot was told")
    twice = [sentence for sentence in tasks.values() if list(tasks.values()).count(sentence) > 1]
    if twice:
        raise refused(file, f"{twice[0]!r} is there twice", AGAIN, expected="each sentence once")


def _films(source: LeRobotSource) -> list[str]:
    return [name for name in source.meta.image_columns() if source.features[name].dtype == "video"]


def _frames(source: LeRobotSource) -> None:
    """Every picture of every episode is decoded, several episodes at once; the first fault in their order is said."""
    columns = source.meta.image_columns()
    total = len(columns) * sum(episode.length for episode in source.episodes)
    works = (
        (_encoded_bytes(source, episode, column), partial(_decoded, source, episode, column))
        for column in columns
        for episode in source.episodes
    )
    with Progress("decode", total) as progress, closing(in_order("decode", works)) as counts:
        for count in counts:
            progress.advance(count)


def _encoded_bytes(source: LeRobotSource, episode: EpisodeMeta, column: str) -> float:
    """Of an episode's pictures, at most; of a film one frame is held at a time."""
    width, height = source.meta.image_size(column) or (0, 0)
    return 3.0 * width * height * (1 if source.features[column].dtype == "video" else episode.length)


def _decoded(source: LeRobotSource, episode: EpisodeMeta, column: str) -> int:
    """How many frames came. Raises ForeignFileError with the frame where it ends."""
    size, count = source.meta.image_size(column), 0
    try:
        for frame in source.frames(episode, column):
            if size is not None and frame.shape[1::-1] != size:
                raise refused(
                    source.folder, f"{column} is {frame.shape[1]} x {frame.shape[0]} px", "correct its shape in meta/info.json",
                    expected=f"{size[0]} x {size[1]} px", episode=episode.index, frame=count,
                )  # fmt: skip
            count += 1
    except ForeignFileError as error:
        if f"episode {episode.index}" in str(error):
            raise
        raise ForeignFileError(f"{error} (episode {episode.index}, frame {count} of {column})") from error
    return count


def _statistics(source: LeRobotSource) -> None:
    """The numbers' statistics that lie in meta/ are those of the rows; those of pictures are samples and are not compared."""
    for file, episode, stats in _stored(source):
        chosen = [one for one in source.episodes if episode is None or one.index == episode]
        for name in source.number_columns():
            if name in stats and len(source.features[name].shape) == 1 and chosen:
                values = np.concatenate([source.numbers(one, [name]) for one in chosen])
                _require_statistics(file, episode, name, stats[name], values)


def _stored(source: LeRobotSource) -> Iterable[tuple[Path, int | None, dict[str, Any]]]:
    """(file, episode or all, statistics by column); what cannot be read is a fault."""
    whole, lines = source.folder / "meta/stats.json", source.folder / "meta/episodes_stats.jsonl"
    if whole.is_file():
        yield whole, None, read_json(whole)
    if lines.is_file() and not source.info.is_v3:
        known = {episode.index for episode in source.episodes}
        found = {row.get("episode_index"): row.get("stats") for _, row in read_json_lines(lines)}
        missing = sorted(known - set(found))
        if missing:
            raise refused(lines, "it has no line", AGAIN, expected="statistics of every episode", episode=missing[0])
        for index in sorted(known):
            stats = found[index]
            yield lines, index, stats if isinstance(stats, dict) else {}


def _require_statistics(file: Path, episode: int | None, name: str, stored: Any, values: np.ndarray) -> None:
    computed = {"min": values.min(0), "max": values.max(0), "mean": values.mean(0), "std": values.std(0)}
    span = np.maximum(np.ptp(values, axis=0), 1e-6)
    for kind in COMPARED:
        told = _numbers(stored, kind)
        if told is None or told.shape != computed[kind].shape:
            raise refused(
                file, f"{kind} of {name} is {'absent' if told is None else f'of {told.size} numbers'}", AGAIN,
                expected=f"{values.shape[1]} numbers", episode=episode,
            )  # fmt: skip
        wrong = np.flatnonzero(~(np.abs(told - computed[kind]) <= CLOSE * span))
        if len(wrong):
            number = int(wrong[0])
            raise refused(
                file, f"{kind} of number {number} of {name} is {told[number]:.6g}, and others normalise by it", AGAIN,
                expected=f"{computed[kind][number]:.6g}, as the rows have it", episode=episode,
            )  # fmt: skip


def _numbers(stored: Any, kind: str) -> np.ndarray | None:
    try:
        return np.asarray(stored[kind], np.float64).reshape(-1)
    except (KeyError, TypeError, ValueError):
        return None
