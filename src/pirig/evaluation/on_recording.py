"""What can be measured of a policy for an arm that is not simulated: its open-loop action error on recorded frames."""

from __future__ import annotations

import numpy as np

from pirig.config.places import Places
from pirig.datasets.lerobot.read import Dataset
from pirig.datasets.make import open_frames
from pirig.evaluation.measured import ErrorRow, Measured
from pirig.evaluation.open_loop import Errors, loop_of
from pirig.policies.policy import Policy


def measure(policy: Policy, dataset: Dataset, held_out: list[int], places: Places, frame_count: int) -> Measured:
    """On up to `frame_count` frames of each set; the row held_out is missing where the run held none out."""
    images = open_frames(dataset, policy.pipeline.contract.image_px, places)
    loop = loop_of(policy, dataset, images)
    trained = [episode for episode in range(dataset.episode_count) if episode not in set(held_out)]
    rows, names = dataset.rows_without(held_out), policy.pipeline.contract.action_layout.split()
    sets = {"held_out": held_out, "training": trained}
    return Measured(
        {
            name: _row(loop.errors(episodes, rows, frame_count, inputs=False, label=f"{name} frames"), names)
            for name, episodes in sets.items()
            if episodes
        }
    )


def _row(errors: Errors, names: list[str]) -> ErrorRow:
    return ErrorRow(
        frames=errors.frames,
        episodes=errors.episodes,
        of_mean_action=errors.relative(),
        of_repeating=errors.relative() / errors.relative("repeat") if errors.relative("repeat") else None,
        error=dict(zip(names, _by_number(errors.policy), strict=True)),
        error_of_mean_action=dict(zip(names, _by_number(errors.mean), strict=True)),
        error_of_repeating=dict(zip(names, _by_number(errors.repeat), strict=True)),
    )


def _by_number(error: np.ndarray) -> list[float]:
    return [float(mean) for mean in error.mean(axis=0)]
