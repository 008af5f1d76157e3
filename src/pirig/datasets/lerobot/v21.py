"""The file layout of LeRobot v2.1, which openpi's pinned lerobot reads: a parquet file and a film per episode.

meta/info.json  meta/episodes.jsonl  meta/tasks.jsonl  meta/episodes_stats.jsonl
data/chunk-000/episode_000000.parquet ...  videos/chunk-000/KEY/episode_000000.mp4 ...
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pirig.datasets.lerobot import layout
from pirig.datasets.lerobot.layout import CHUNK_FILES, Description, Episode

VERSION = "v2.1"
DATA_PATH = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
VIDEO_PATH = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
STATISTICS = ("min", "max", "mean", "std", "count")  # this version knows no quantiles


def write(folder: Path, description: Description, episodes: Iterable[Episode]) -> None:
    """Writes the whole data set into an empty folder."""
    lines: list[dict[str, Any]] = []
    stats: list[dict[str, Any]] = []
    offset = 0
    for index, episode in enumerate(episodes):
        place: dict[str, Any] = {"episode_chunk": index // CHUNK_FILES, "episode_index": index}
        file = folder / DATA_PATH.format(**place)
        table = layout.with_index(episode, description, episode_index=index, offset=offset)
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, file, compression="none", use_dictionary=False, row_group_size=len(table))
        for key, film in episode.films().items():
            target = folder / VIDEO_PATH.format(video_key=key, **place)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(film, target)
        lines.append(
            {
                "episode_index": index,
                "tasks": layout.tasks_of(episode, description),
                "length": episode.length,
            }
        )
        known = layout.stats_of([episode.histograms()], layout.numbers_of(table, description, file))
        stats.append({"episode_index": index, "stats": {key: _of_this_version(entry) for key, entry in known.items()}})
        offset += episode.length
    layout.write_json_lines(folder / "meta/episodes.jsonl", lines)
    tasks = [{"task_index": index, "task": sentence} for index, sentence in enumerate(description.tasks)]
    layout.write_json_lines(folder / "meta/tasks.jsonl", tasks)
    layout.write_json_lines(folder / "meta/episodes_stats.jsonl", stats)
    layout.write_json(folder / "meta/info.json", _info(description, len(lines), offset))


def _of_this_version(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: entry[name] for name in STATISTICS}


def _info(description: Description, episodes: int, frames: int) -> dict[str, Any]:
    films = description.films
    return {
        "codebase_version": VERSION,
        "robot_type": description.robot_type,
        "total_episodes": episodes,
        "total_frames": frames,
        "total_tasks": len(description.tasks),
        "total_videos": episodes * len(films),
        "total_chunks": -(-episodes // CHUNK_FILES),
        "chunks_size": CHUNK_FILES,
        "fps": description.rate,
        "splits": {"train": f"0:{episodes}"},
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH if films else None,
        "features": description.features,
    }
