"""A served policy on recorded frames: how far its actions are from the recorded ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pirig.datasets.lerobot.read import Dataset
from pirig.evaluation.open_loop import MIN_SCALE, Errors, OpenLoop
from pirig.policies.remote import RemotePolicy


class RecordedFrames:
    """One camera's frames as they were recorded, read when they are asked for by row."""

    def __init__(self, dataset: Dataset, role: str):
        self._dataset, self._role = dataset, role

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return np.stack([self._dataset.image(self._role, int(row)) for row in rows])


def errors(policy: RemotePolicy, dataset: Dataset, frame_count: int) -> Errors:
    """On up to `frame_count` frames spread over the data set, trained on or not: a check of the way, not of the policy."""
    images = {role: RecordedFrames(dataset, role) for role in dataset.roles}
    chunk = (policy.horizon, policy.noise_shape[1])
    loop = OpenLoop(policy.predict, dataset, images, noise_shape=chunk, batch_size=policy.batch_size)  # type: ignore[arg-type]
    episodes = range(dataset.episode_count)
    return loop.errors(episodes, np.arange(dataset.frame_count), frame_count, inputs=False, label="recorded frames")


def lines(found: Errors, names: list[str]) -> Iterator[str]:
    """For people: the error as a share of the mean action's, then each number's."""
    yield f"frames      {found.frames} of {found.episodes} episodes"
    yield f"error       {100 * found.relative():.0f} % of the mean action's"
    for name, error, scale in zip(names, found.policy.mean(axis=0), found.scale, strict=True):
        yield f"  {name:12} off by {error:.4g}" + (
            f", it varies by {scale:.4g}" if scale > MIN_SCALE else ", it never varies"
        )
