"""Noise on the state that a training reads, with or without actions that answer it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pirig.config.deltas import UNIT_M, place_columns
from pirig.config.state_entries import STATE_ENTRIES
from pirig.training.corrective import CorrectiveNoise, corrective_noise

if TYPE_CHECKING:
    from pirig.datasets.lerobot.read import Dataset
    from pirig.training.batches import BatchSettings
    from pirig.transforms.pipeline import Pipeline

Inputs = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
Learned = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class StateNoise:
    """Gaussian noise on the state, drawn anew for every batch, from the batch's position alone.

    Without it a policy can learn which episode it is in by exact numbers (a goal, the joints at rest), and repeat that one.
    `std` [state_dim], of the normalised state, 0 where a number stays as it is. `inputs`: frame numbers [B], noise
    [B, state_dim] and how far the state is off before it is normalised [B, state_dim] -> state, tokens, token mask, as
    Batches has them; `length`: tokens that no state goes beyond. `share` of the samples get noise: strong noise on half of
    them is a way to make a policy look at the picture. `corrective`: noise that the actions answer; `learned`: frame
    numbers and chunks as recorded -> as a model learns them.
    """

    std: np.ndarray
    length: int
    inputs: Inputs
    learned: Learned
    share: float = 1.0
    corrective: CorrectiveNoise | None = None

    def batch(self, frames: np.ndarray, chunk: np.ndarray, seed: int, position: int, rows: slice) -> dict[str, Any]:
        """What it changes of the batch of frames [B], whose actions are those of `chunk` [B, H]."""
        rng = np.random.default_rng([seed, position])
        draw = rng.standard_normal((len(frames), len(self.std)), np.float32)
        draw *= rng.random((len(frames), 1), np.float32) < self.share
        own, off, actions = frames[rows], np.zeros((len(frames), len(self.std)), np.float32), {}
        if self.corrective is not None:
            off_m = self.corrective.draw(frames, seed, position)
            off[:, self.corrective.place] = off_m
            moved = self.corrective.chunks(own, chunk[rows], off_m[rows])
            actions = {"actions": self.learned(own, moved)}
        state, tokens, mask = self.inputs(own, self.std * draw[rows], off[rows])
        return {"state": state, "tokens": tokens[:, : self.length], "token_mask": mask[:, : self.length], **actions}


def state_noise(
    pipeline: Pipeline, dataset: Dataset, settings: BatchSettings, inputs: Inputs, learned: Learned
) -> StateNoise | None:
    """None where none is asked for."""
    entries, state = pipeline.contract.state, dataset.state
    std = settings.state_noise * noisy(settings.state_noise_on, entries, state.shape[1])
    corrective = None
    if settings.corrective_noise_m:
        corrective = corrective_noise(
            settings.corrective_noise_m,
            UNIT_M[pipeline.contract.control_mode],
            place_columns(entries),
            state,
            dataset.actions,
            dataset.lengths,
            pipeline.model_config.action_horizon,
        )
    if not std.any() and corrective is None:
        return None
    return StateNoise(std, pipeline.prompt_length(), inputs, learned, settings.state_noise_share, corrective)


def noisy(chosen: Sequence[str], entries: Sequence[str], state_dim: int) -> np.ndarray:
    """1 for every number of the state that belongs to a chosen entry, of `entries` in their order; all where none is named.

    f32 [state_dim]. A known entry that this state does not hold is no error, so that one recipe serves states with and
    without it. Raises ValueError where an entry is unknown.
    """
    unknown = [name for name in chosen if name not in STATE_ENTRIES]
    if unknown:
        raise ValueError(f"train.state_noise_on names {', '.join(unknown)}; known entries: {', '.join(STATE_ENTRIES)}")
    if not chosen:
        return np.ones(state_dim, np.float32)
    return np.concatenate([np.full(STATE_ENTRIES[name].count, name in chosen, np.float32) for name in entries])
