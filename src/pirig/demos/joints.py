"""Where the arm was in demos."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pirig.demos.manifest import episode_files

EPISODES = 64  # of so many the joints are taken, so that more demos of the same kind change nothing
EVERY = 4  # steps


def joints_of(folder: Path) -> np.ndarray:
    """Simulated joints f32 [N, J] of the first demos, every few steps. Raises ValueError where the demos are incomplete."""
    rows = []
    for file in episode_files(folder)[:EPISODES]:
        with np.load(file) as arrays:
            rows.append(np.asarray(arrays["qpos"], np.float32)[::EVERY])
    return np.concatenate(rows)
