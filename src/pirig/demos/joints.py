"""Where the arm was in demos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pirig.demos.manifest import DemosManifest, episode_file, longest_usual

EPISODES = 64  # of so many the joints are taken, so that more demos of the same kind change nothing
EVERY = 4  # steps
OF_STATE = 8  # joints that a state entry holds: of the fingers, which move alike, one


def joints_of(folder: Path) -> np.ndarray:
    """Simulated joints f32 [N, 9] of the first demos, every few steps. Raises ValueError where the demos are incomplete."""
    manifest = DemosManifest.load(folder)
    rows = []
    for number in episodes_of(manifest.lengths):
        with np.load(episode_file(folder, manifest.seeds[number])) as arrays:
            rows.append(both_fingers(arrays["qpos"]))
    return np.concatenate(rows)


def episodes_of(lengths: Sequence[int]) -> list[int]:
    """Numbers of the first episodes in which the planner did not wander."""
    usual = longest_usual(lengths)
    return [number for number, length in enumerate(lengths) if length <= usual][:EPISODES]


def both_fingers(joints: np.ndarray) -> np.ndarray:
    """An episode's joints [T, 8 or more] -> f32 [T / EVERY, 9], the second finger as the first: a data set knows one of them."""
    few = np.asarray(joints, np.float32)[::EVERY, :OF_STATE]
    return np.concatenate([few, few[:, -1:]], axis=1)
