"""What a critic learns from: from a state, a chunk of actions was executed; this is what it brought, and where it led.

A row for every frame of an episode, whoever acted: any h steps in a row are a chunk that was executed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int

from pirig.models.critic.network import clipped


@dataclass(frozen=True)
class Transitions:
    """N rows. `features`: the frozen policy's pooled prefix features, or privileged labels. `state`: normalised. `chunk`: the h
    steps that were executed, normalised as the model learns them, clipped; behind an episode's end its last action.

    `reward`: the executed steps' together, each step's discounted once more than the one before. `discount`: of the value at
    `next_row`, gamma^h; 0 where nothing comes after, and then `next_row` is the row itself. `return_to_go`: what the episode
    brought from here on, discounted; a failed one goes on failing for ever, as Cal-QL counts it (arXiv:2303.05479).
    Raises ValueError where lengths differ or a `next_row` is none.
    """

    features: Float32[np.ndarray, "rows features"]
    state: Float32[np.ndarray, "rows state"]
    chunk: Float32[np.ndarray, "rows h action_dim"]
    reward: Float32[np.ndarray, " rows"]
    discount: Float32[np.ndarray, " rows"]
    next_row: Int[np.ndarray, " rows"]
    return_to_go: Float32[np.ndarray, " rows"]

    def __post_init__(self) -> None:
        rows = {field.name: len(getattr(self, field.name)) for field in dataclasses.fields(self)}
        if len(set(rows.values())) > 1:
            raise ValueError(f"transitions of different lengths: {rows}; expected as many rows of each")
        if len(self) and not (self.next_row.min() >= 0 and self.next_row.max() < len(self)):
            raise ValueError(
                f"next_row from {self.next_row.min()} to {self.next_row.max()} in transitions of {len(self)} rows; expected a row"
            )

    def __len__(self) -> int:
        return len(self.reward)


@dataclass(frozen=True)
class Steps:
    """An episode of T steps: before each, `features` [T, F] and `state` [T, S]; the `chunks` [T, h, A] of actions
    that were executed from there on, as `Transitions` has them but for the clipping; the `reward` [T] of each step; whether the
    last one `succeeded`."""

    features: Float32[np.ndarray, "steps features"]
    state: Float32[np.ndarray, "steps state"]
    chunks: Float32[np.ndarray, "steps h action_dim"]
    reward: Float32[np.ndarray, " steps"]
    succeeded: bool


def of_episode(steps: Steps, gamma: float) -> Transitions:
    """A row for each step. An episode that failed brings its last reward for ever from its end on."""
    count, h = steps.chunks.shape[:2]
    tail = 0.0 if steps.succeeded else float(steps.reward[-1]) / (1.0 - gamma)
    to_go = _returns(steps.reward, gamma, tail)
    place = np.arange(count)
    ends = place + h >= count
    after = np.where(ends, place, place + h)
    discount = np.where(ends, 0.0, gamma**h)
    reward = to_go - discount * to_go[after]
    return Transitions(
        steps.features.astype(np.float32),
        steps.state.astype(np.float32),
        clipped(steps.chunks).astype(np.float32),
        reward.astype(np.float32),
        discount.astype(np.float32),
        after,
        to_go.astype(np.float32),
    )


def _returns(reward: np.ndarray, gamma: float, after: float) -> np.ndarray:
    """f64 [T]; `after`: what comes behind the last step is worth."""
    to_go = np.empty(len(reward))
    for step in range(len(reward) - 1, -1, -1):
        after = to_go[step] = float(reward[step]) + gamma * after
    return to_go


def joined(parts: Sequence[Transitions]) -> Transitions:
    """Behind one another. Raises ValueError where nothing is to be joined, or widths differ."""
    if not parts:
        raise ValueError("no transitions: neither demos nor roll-outs; expected an episode at least")
    widths = {(part.features.shape[1:], part.state.shape[1:], part.chunk.shape[1:]) for part in parts}
    if len(widths) > 1:
        raise ValueError(f"transitions of different widths (features, state, chunk): {sorted(widths)}; expected one")
    offsets = np.cumsum([0, *(len(part) for part in parts[:-1])])
    names = [field.name for field in dataclasses.fields(Transitions) if field.name != "next_row"]
    together = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    moved = np.concatenate([part.next_row + offset for part, offset in zip(parts, offsets, strict=True)])
    return Transitions(**together, next_row=moved)
