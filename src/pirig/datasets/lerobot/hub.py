"""A LeRobot data set to the Hugging Face Hub and from it."""

from __future__ import annotations

import os
from pathlib import Path

from pirig.datasets.lerobot.source import LeRobotSource
from pirig.files import hub
from pirig.foreign.faults import ForeignFileError
from pirig.foreign.lerobot import require_frames


def push(source: LeRobotSource, name: str, *, private: bool) -> str:
    """Returns what was sent and where to, in a sentence. Raises ValueError before anything is sent where the data set is
    damaged, as `hub.send` otherwise."""
    hub.require_name(name)
    source.examine()
    require_frames(source.meta)
    version = str(source.info.codebase_version)
    said = _said(source)
    address = hub.send(source.folder, name, private=private, tag=version, message=f"{said} (pirig dataset push)")
    return f"{source.folder}: {said} are at {address}, tag {version}"


def pull(name: str, folder: Path, revision: str | None = None) -> str:
    """Returns what came, in a sentence. Raises ValueError as `hub.fetch`, and where it is no LeRobot data set."""
    hub.require_name(name)
    coming = folder.with_name(f".{folder.name}.pulling")
    coming.mkdir(parents=True, exist_ok=True)
    commit = hub.fetch(name, coming, revision=revision)
    try:
        source = LeRobotSource(coming)
        require_frames(source.meta)
    except ForeignFileError as error:
        raise ForeignFileError(f"{name}, commit {commit[:12]}: it is no whole LeRobot data set: {error}") from error
    os.rename(coming, folder)
    return f"data set: {folder}: {_said(source)}, commit {commit[:12]} of {hub.endpoint()}/datasets/{name}"


def _said(source: LeRobotSource) -> str:
    frames = sum(episode.length for episode in source.episodes)
    return f"{source.kind}, {len(source.episodes)} episodes, {frames} frames"
