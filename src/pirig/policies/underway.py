"""What an arm carries out while its next chunk is computed: one notion for evaluation, serving and the control loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pirig.models.sampling import soft_mask
from pirig.transforms.pipeline import Pipeline


@dataclass(frozen=True)
class Underway:
    """`actions` f32 [k, action_dim] in the arm's units: what the chunk before foresees from the observation's step on. The first
    `delay` of them will have been executed when the new chunk arrives."""

    actions: np.ndarray
    delay: int

    def require_fits(self, horizon: int, action_dim: int) -> None:
        """Raises ValueError where these are no actions of this policy, or fewer than are executed until the chunk is there."""
        known = len(self.actions)
        if self.actions.ndim != 2 or self.actions.shape[1] != action_dim or not 0 < known <= horizon:
            raise ValueError(
                f"the actions that are underway are {list(self.actions.shape)}, expected [1 to {horizon} steps, {action_dim}]"
            )
        if not np.isfinite(self.actions).all():
            raise ValueError("the actions that are underway hold NaN or infinity")
        if not 0 <= self.delay <= known:
            raise ValueError(f"a delay of {self.delay} steps: {known} actions are underway, so expected 0 to {known}")


def guide_of(
    pipeline: Pipeline, underway: Sequence[Underway], state_raw: np.ndarray, tasks: Sequence[str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Of n rows with their states [n, state_dim]: actions [n, A, J] in the numbers that the model denoises, weights [n, A], for
    `models.sampling.Guide`. Raises ValueError where a chunk is none of this policy's."""
    horizon, action_dim = pipeline.model_config.action_horizon, pipeline.contract.action_dim
    actions = np.zeros((len(underway), horizon, action_dim), np.float32)
    for row, one in zip(actions, underway, strict=True):
        one.require_fits(horizon, action_dim)
        row[: len(one.actions)] = one.actions
    weights = [soft_mask(one.delay, len(one.actions), horizon) for one in underway]
    return pipeline.model_actions(actions, state_raw, tasks), np.stack(weights)
