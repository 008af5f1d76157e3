"""Writes a planned data set: several episodes are worked on at once, the result is asked again before it gets its name."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path

from pirig.config.places import META
from pirig.datasets import as_written
from pirig.datasets.lerobot.layout import Description
from pirig.datasets.lerobot.source import LeRobotSource
from pirig.datasets.lerobot.write import LAYOUTS
from pirig.datasets.remake.episode import Films, RemadeEpisode
from pirig.datasets.remake.plan import Plan
from pirig.files.at_once import in_order
from pirig.files.atomic import staging_folder
from pirig.files.progress import Progress
from pirig.files.space import require_space

ROOM = "make room, or write to another disk"


def write(
    plan: Plan, folder: Path, *, tasks: Sequence[str] | None = None, also: Callable[[Path], None] = lambda staging: None
) -> list[str]:
    """Writes the data set, asks it, and gives it its name; returns what is to be said of it. `tasks`: its sentences, where
    they are not the plan's; `also` adds files beside it.

    Raises ValueError before anything is written where a source is damaged, and FileExistsError where `folder` exists.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists already; remove it or choose another name")
    notes = plan.examine()
    require_space(folder, _needed(plan), "the data set needs about", ROOM)
    films = Films(plan.columns, plan.kept.codec)
    description = Description(plan.features, plan.first.fps, plan.first.info.robot_type, tasks or plan.tasks)
    with staging_folder(folder) as staging:
        with (
            Progress("dataset", len(plan.chosen)) as progress,
            closing(_episodes(plan, description, films, staging / ".films", progress)) as episodes,
        ):
            LAYOUTS[plan.version](staging, description, episodes)
        also(staging)
        _require_whole(staging, plan)
        if (staging / META).is_dir():
            as_written.note(staging)
    return [*notes, *films.said]


def _episodes(
    plan: Plan, description: Description, films: Films, place: Path, progress: Progress
) -> Generator[RemadeEpisode]:
    """In order, several at once; the films of one lie below `place` until the next is asked for. Completes what is said of
    films at the end."""
    remade = (
        RemadeEpisode(one.source, one.episode, sentences=description.tasks, films=films, place=place / str(number))
        for number, one in enumerate(plan.chosen)
    )
    with closing(in_order("episode", ((one.bytes_held, one.prepared) for one in remade))) as prepared:
        for episode in prepared:
            films.note(episode.made)
            yield episode
            episode.clear()
            progress.advance()
    for key, info in films.told(plan.sources).items():
        plan.features[key].pop("video_info", None)
        plan.features[key]["info"] = info
    if place.is_dir():
        place.rmdir()


def _needed(plan: Plan) -> float:
    """Bytes of the result, roughly: those of the files that are copied, and of pictures that are written out."""
    frames = sum(one.episode.length for one in plan.chosen)
    copied = sum(_bytes_of(source) for source in plan.sources)
    written = sum(
        2.4 * w * h for w, h in (column.size for column in plan.columns if column.was_film and not column.is_film)
    )
    share = frames / max(sum(episode.length for source in plan.sources for episode in source.episodes), 1)
    return copied * share + written * frames


def _bytes_of(source: LeRobotSource) -> int:
    return sum(file.stat().st_size for file in source.folder.rglob("*") if file.is_file())


def _require_whole(staging: Path, plan: Plan) -> None:
    """The result, read as anybody's: as many episodes and frames as were chosen, and nothing that the door refuses."""
    made = LeRobotSource(staging)
    lengths, wanted = [one.length for one in made.episodes], [one.episode.length for one in plan.chosen]
    if lengths != wanted:
        raise RuntimeError(
            f"{staging}: wrote episodes of {lengths[:5]} frames instead of {wanted[:5]}; is the disk full?"
        )
    made.examine()
