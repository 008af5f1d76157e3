"""What an episode of a LeRobot recording is made of, as a digest: its columns, times and pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pirig.datasets.lerobot.source import LeRobotSource
    from pirig.foreign.lerobot import EpisodeMeta


def files_of(source: LeRobotSource, episodes: Sequence[EpisodeMeta], cameras: Sequence[str]) -> list[Path]:
    """Those that the episodes are read from. Raises ValueError where one is missing."""
    told = {file for file in (source.folder / "meta").rglob("*") if file.suffix in (".json", ".jsonl", ".parquet")}
    read = {file for episode in episodes for file in source.index.of(episode.index).used}
    read |= {source.part(episode, camera).file for episode in episodes for camera in _films(source, cameras)}
    return sorted(file for file in told | read if file.is_file())


def digests_of(
    source: LeRobotSource, episodes: Sequence[EpisodeMeta], columns: Sequence[str], cameras: Sequence[str]
) -> list[str]:
    films: dict[Path, str] = {}
    return [f"{episode.index}:{_digest_of(source, episode, columns, cameras, films)}" for episode in episodes]


def _digest_of(
    source: LeRobotSource,
    episode: EpisodeMeta,
    columns: Sequence[str],
    cameras: Sequence[str],
    films: dict[Path, str],
) -> str:
    digest = hashlib.sha256(f"{episode.length}".encode())
    for column in columns:
        digest.update(source.numbers(episode, [column]).tobytes())
    times_s = source.times_s(episode)
    digest.update(b"" if times_s is None else times_s.tobytes())
    for camera in cameras:
        if camera in _films(source, cameras):
            part = source.part(episode, camera)
            digest.update(f"{_digest_of_film(part.file, films)} {part.window.start_s}".encode())
            continue
        for picture in source.encoded(episode, camera):
            digest.update(picture)
    return digest.hexdigest()[:16]


def _films(source: LeRobotSource, cameras: Sequence[str]) -> list[str]:
    return [camera for camera in cameras if source.features[camera].dtype == "video"]


def _digest_of_film(file: Path, films: dict[Path, str]) -> str:
    if file not in films:
        with open(file, "rb") as opened:
            films[file] = hashlib.file_digest(opened, "sha256").hexdigest()
    return films[file]
