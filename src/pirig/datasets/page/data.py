"""What the page of a data set shows, as one JSON object."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from pirig.datasets.page import distributions, pictures
from pirig.datasets.recording import Recording
from pirig.files.progress import Progress
from pirig.foreign.lerobot import EpisodeMeta

Asked = tuple[str, Sequence[tuple[str, str, str]]]  # what was asked; (ok | wrong | skip, gate, sentence) of each gate
SHOWN = 24  # episodes whose first and last frames are shown
NUMBERS = 32  # of a column
PLAYED_FRAMES = 240


def page_data(source: Recording, gates: Sequence[Asked]) -> dict[str, Any]:
    """Raises ForeignFileError where rows or pictures are missing or damaged."""
    episodes, cameras = source.episodes, source.meta.image_columns()
    columns = ordered(source.number_columns())
    chosen = evenly(episodes, SHOWN)
    with Progress("page", len(columns) + len(chosen) + 1) as progress:
        spread = [_column(source, column, progress) for column in columns]
        shown = [_looks(source, episode, cameras, progress, place) for place, episode in enumerate(chosen)]
        played = _played(source, episodes, cameras, columns[:2])
        progress.advance()
    sizes = {camera: source.meta.image_size(camera) for camera in cameras}
    return {
        "name": "/".join(source.folder.absolute().parts[-2:]),
        "folder": str(source.folder),
        "made": time.strftime("%Y-%m-%d %H:%M"),
        "kind": source.kind,
        "robot": str(source.robot_type or ""),
        "fps": float(source.fps),
        "bytes": _bytes(source),
        "numbers": [episode.index for episode in episodes],
        "lengths": [episode.length for episode in episodes],
        "cameras": [{"key": key, "size": "{} × {} px".format(*size) if size else ""} for key, size in sizes.items()],
        "prompts": _prompts(source),
        "gates": [{"title": title, "said": [_said(*one) for one in said]} for title, said in gates],
        "features": [
            {"key": key, "dtype": one.dtype, "shape": list(one.shape), "names": ", ".join(one.number_names)}
            for key, one in source.features.items()
        ],
        "bins": {"time": distributions.TIMES, "value": distributions.VALUES},
        "columns": spread,
        "looks": [one for one in shown if one["ends"]],
        "played": played,
    }


def ordered(columns: Sequence[str]) -> list[str]:
    """The state and the actions first."""
    first = [next((name for name in columns if word in name), None) for word in ("state", "action")]
    named = [name for name in first if name is not None]
    return [*dict.fromkeys(named), *(name for name in columns if name not in named)]


def evenly(episodes: Sequence[EpisodeMeta], count: int) -> list[EpisodeMeta]:
    places = np.linspace(0, len(episodes) - 1, min(count, len(episodes))).astype(int)
    return [episodes[place] for place in dict.fromkeys(places.tolist())]


def _said(state: str, gate: str, text: str) -> dict[str, str]:
    return {"state": state, "gate": gate, "text": text}


def _bytes(source: Recording) -> int:
    files = [source.folder] if source.folder.is_file() else source.folder.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def _prompts(source: Recording) -> list[dict[str, Any]]:
    episodes, frames = Counter[str](), Counter[str]()
    for episode in source.episodes:
        sentence = source.task_of(episode)
        episodes[sentence] += 1
        frames[sentence] += episode.length
    return [{"text": text, "episodes": count, "frames": frames[text]} for text, count in episodes.most_common()]


def _names(source: Recording, column: str, width: int) -> list[str]:
    return source.features[column].number_names or [f"{column} {number}" for number in range(width)]


def _column(source: Recording, column: str, progress: Progress) -> dict[str, Any]:
    parts = [source.numbers(episode, [column]) for episode in source.episodes]
    progress.advance()
    width = parts[0].shape[1]
    names = _names(source, column, width)[:NUMBERS]
    dims = [
        {"name": name, **distributions.of([part[:, number] for part in parts])} for number, name in enumerate(names)
    ]
    return {"key": column, "dims": dims, "more": width if width > NUMBERS else 0}


def _looks(
    source: Recording, episode: EpisodeMeta, cameras: Sequence[str], progress: Progress, place: int
) -> dict[str, Any]:
    """Of the first few a filmstrip besides."""
    ends, strips = {}, {}
    for camera in cameras:
        strip = place < pictures.STRIPS
        frames = pictures.strip_frames(episode.length) if strip else [0, episode.length - 1]
        thumbs = pictures.encoded(source, episode, camera, frames, pictures.THUMB_PX)
        ends[camera] = [thumbs[0], thumbs[-1]]
        if strip:
            strips[camera] = thumbs
    progress.advance()
    return {"episode": episode.index, "length": episode.length, "ends": ends, "strip": strips}


def _played(
    source: Recording, episodes: Sequence[EpisodeMeta], cameras: Sequence[str], columns: Sequence[str]
) -> dict[str, Any]:
    """The episode of median length."""
    episode = sorted(episodes, key=lambda one: one.length)[len(episodes) // 2]
    step = -(-episode.length // PLAYED_FRAMES)
    frames = sorted({*range(0, episode.length, step), episode.length - 1})
    traces = []
    for column in columns:
        rows = source.numbers(episode, [column])
        names = _names(source, column, rows.shape[1])[:NUMBERS]
        more = rows.shape[1] if rows.shape[1] > NUMBERS else 0
        traces.append({"key": column, "names": names, "more": more, "rows": distributions.short(rows[:, :NUMBERS])})
    return {
        "episode": episode.index,
        "length": episode.length,
        "prompt": source.task_of(episode),
        "frames": frames,
        "pictures": {
            camera: pictures.encoded(source, episode, camera, frames, pictures.PLAYED_PX) for camera in cameras
        },
        "columns": traces,
    }
