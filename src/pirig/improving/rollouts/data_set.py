"""Recorded roll-outs as a LeRobot data set, by the writer that demos have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pirig.config.measuring import RewardsConfig
from pirig.config.places import META
from pirig.contract import Contract
from pirig.datasets import from_demos
from pirig.datasets.lerobot.write import FAILED, LeRobotWriter
from pirig.demos.manifest import episode_file
from pirig.files import identity
from pirig.files.atomic import clear_leftovers, move_aside
from pirig.files.identity import Identity, Same
from pirig.files.progress import Progress
from pirig.improving.rollouts import columns
from pirig.improving.rollouts.again import SUCCESS

KIND, CODE = "roll-outs", 1  # the code's version changes where the same episodes would become another data set


@dataclass(frozen=True)
class Asked:
    """`episodes`: their folder, `scenes` in order, `frames` of all of them. `chunks`: of `columns.of_chunks`. `told`: what
    meta/pirig says of them. `made`: what decides the data set."""

    contract: Contract
    episodes: Path
    scenes: Sequence[int]
    frames: int
    rewards: RewardsConfig
    chunks: Mapping[str, Any]
    labels: bool
    told: Mapping[str, Any]
    made: Identity


def written(asked: Asked, folder: Path) -> bool:
    """The data set in `folder`, found, extended or made; whether it was there. Raises IdentityError where it is another one."""
    record = folder / META / identity.FILE_NAME
    there = identity.load(record) if folder.is_dir() else None
    relation = identity.require(asked.made, there, folder, identity.move_away(folder)) if there else None
    if isinstance(relation, Same):
        return True
    if folder.is_dir():
        aside = move_aside(folder)
        print(f"roll-outs: the data set that was there is now {aside}, which may be deleted", flush=True)
    clear_leftovers(folder.parent)
    _write(asked, folder)
    asked.made.save(record)
    return False


def _write(asked: Asked, folder: Path) -> None:
    files = [episode_file(asked.episodes, scene) for scene in asked.scenes]
    named = from_demos.check_labels(files) if asked.labels else {}
    failed = list[int]()
    with (
        LeRobotWriter(folder, asked.contract) as writer,
        Progress("roll-outs: data set", len(files)) as progress,
    ):
        writer.require_space(asked.frames)
        for number, (scene, file) in enumerate(zip(asked.scenes, files, strict=True)):
            state, actions = from_demos.check_episode(file, asked.contract)
            with np.load(file) as arrays:
                success = arrays[SUCCESS]
            told = columns.of_outcome(success, asked.rewards) | columns.of_chunks(scene, len(success), **asked.chunks)
            known: dict[str, Any] = {"seed": scene, "labels": from_demos.labels_of(file, named), "columns": told}
            if not writer.reuse_episode(state, actions, **known):
                writer.add_episode(from_demos.images_of(file, asked.contract), state, actions, **known)
            failed += [] if success[-1] else [number]
            progress.advance()
        writer.finish({**asked.told, FAILED: failed, "rewards": asdict(asked.rewards)})
