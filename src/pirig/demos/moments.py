"""What stood where in demos, for scenes near them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pirig.demos.joints import EVERY
from pirig.demos.manifest import FILE_NAME, LABEL, DemosManifest, episode_file
from pirig.scenes.moments import Moments, are_held

HAND = "tcp_pose"
POSITION, TURN = "_position_m", "_quat_wxyz"
ELSE = "run `pirig demos` with the same settings first, or choose scenes.near_demos=0"


def moments_of(folder: Path, points: Sequence[str]) -> list[Moments]:
    """Of every demo in which the planner did not wander; `points`: labels that are a part of a thing, and no thing.

    Raises ValueError where the demos are gone, or do not say where the hand and the things were.
    """
    if not (folder / FILE_NAME).is_file():
        raise ValueError(f"{folder}: scenes near demos (scenes.near_demos) need the demos, which are not there; {ELSE}")
    manifest = DemosManifest.load(folder)
    wandering = manifest.wandering()
    return [_of(episode_file(folder, seed), seed, points) for seed in manifest.seeds if seed not in wandering]


def _of(path: Path, seed: int, points: Sequence[str]) -> Moments:
    with np.load(path) as arrays:
        labels = {name.removeprefix(LABEL): arrays[name] for name in arrays.files if name.startswith(LABEL)}
        names = [name.removesuffix(POSITION) for name in labels if name.endswith(POSITION)]
        things = [name for name in names if name not in points and f"{name}{TURN}" in labels]
        if HAND not in arrays.files or not things:
            raise ValueError(
                f"{path}: scenes near demos (scenes.near_demos) need {HAND} and poses of things among its labels, it has "
                f"{', '.join(sorted(set(arrays.files)))}; record them with demos.labels=true, or choose scenes.near_demos=0"
            )
        joints, hand = arrays["qpos"], arrays[HAND]
    poses = {name: np.concatenate([labels[f"{name}{POSITION}"], labels[f"{name}{TURN}"]], axis=1) for name in things}
    held = are_held(poses, hand)
    every = slice(None, None, EVERY)
    few = {name: pose[every] for name, pose in poses.items()}
    return Moments(seed, joints[every], hand[every], few, {name: row[every] for name, row in held.items()})
