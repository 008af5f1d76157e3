"""What a diagnosis measures, as plain values: the rules of causes.py and the page read nothing else."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MIN_SCALE = 1e-3  # an action number whose standard deviation is below it never varies


@dataclass(frozen=True)
class History:
    """How the run was trained. `fall`: by what share the mean loss fell over the last fifth; None where unknown."""

    steps: int
    epochs: float
    first_loss: float | None = None
    last_loss: float | None = None
    fall: float | None = None


@dataclass(frozen=True)
class Outcome:
    """The newest evaluation of the checkpoint. `sub_goals`: how many of the n episodes passed each."""

    folder: str
    k: int
    n: int
    low: float
    high: float
    limit: int
    execute: int
    oracle: tuple[int, int]
    untrained: tuple[int, int]
    sub_goals: dict[str, int]
    gates_skipped: list[str]
    failed_seeds: list[int]


@dataclass(frozen=True)
class Errors:
    """Mean |difference| from the demonstrated actions on the same frames, f64 [chunk steps, action_dim], in the
    simulator's units: the policy's, of always predicting the mean action, of repeating the last action.

    `scale` [action_dim]: standard deviation of the demonstrated actions; numbers that never vary have 0.
    `without`: the policy's error over its own when an input is taken from another frame (1: it does not look at it).
    """

    frames: int
    episodes: int
    policy: np.ndarray
    mean: np.ndarray
    repeat: np.ndarray
    scale: np.ndarray
    without: dict[str, float] = field(default_factory=dict)

    def relative(self, which: str = "policy", steps: slice | None = None) -> float:
        """An error as a share of the mean action's, each action number weighted by its own spread."""
        used = self.scale > MIN_SCALE
        part = steps or slice(None)
        ours = (getattr(self, which)[part][:, used] / self.scale[used]).mean()
        return float(ours / (self.mean[part][:, used] / self.scale[used]).mean())

    def relative_by_number(self) -> np.ndarray:
        """[action_dim]; NaN for numbers that never vary."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.scale > MIN_SCALE, self.policy.mean(0) / self.mean.mean(0), np.nan)


@dataclass(frozen=True)
class HandOver:
    """Episodes where `first` ("policy" or "demo") acts for a share of the demo's steps and the other goes on."""

    first: str
    share: float
    k: int
    n: int
    sub_goals: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Late:
    """Failed episodes of the evaluation, run on to `limit` steps: `k` of `n` succeed."""

    k: int
    n: int
    limit: int


@dataclass(frozen=True)
class Parity:
    """One frame as training saw it and as evaluation feeds it. `pixels`: role -> (largest, mean) difference of 0..255;
    `state`: largest difference in the contract's units, of number `state_number`; `model_state`: in the model's numbers;
    `tokens`: how many of the prompt differ; `pictures`: role -> (training, evaluation)."""

    seed: int
    step: int
    pixels: dict[str, tuple[float, float]]
    state: float
    state_number: int
    model_state: float
    tokens: int
    pictures: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """All of it. None or empty: not measured; `notes` say why."""

    checkpoint: str
    history: History
    action_names: list[str]
    contract: dict[str, Any] = field(default_factory=dict)
    contract_differences: list[str] = field(default_factory=list)
    gates: dict[str, list[str]] = field(default_factory=dict)
    gates_skipped: list[str] = field(default_factory=list)
    outcome: Outcome | None = None
    training: Errors | None = None
    held_out: Errors | None = None
    hand_overs: list[HandOver] = field(default_factory=list)
    late: Late | None = None
    parity: list[Parity] = field(default_factory=list)
    demo_lengths: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        plain = dataclasses.asdict(dataclasses.replace(self, parity=[_without_pictures(one) for one in self.parity]))
        return json.dumps(plain, indent=2, default=_plain) + "\n"


def _without_pictures(parity: Parity) -> Parity:
    return dataclasses.replace(parity, pictures={})


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value)} in the evidence")
