"""What a diagnosis measures, as plain values: the rules of causes.py and the page read nothing else."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pirig.evaluation.open_loop import Errors


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
    """The newest evaluation of the checkpoint. `sub_goals`: how many of the n episodes passed each; `stood_still`: how many
    of the failed ones ended in actions that hardly change."""

    folder: str
    k: int
    n: int
    low: float
    high: float
    limit: int
    execute: int
    oracle: tuple[int, int]
    start: tuple[str, int, int]  # what training started from (zero-shot or untrained), k, n
    sub_goals: dict[str, int]
    gates_skipped: list[str]
    failed_seeds: list[int]
    stood_still: int = 0


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
    label_errors: dict[str, float] = field(
        default_factory=dict
    )  # held-out, by object and unit ("cubeA_mm"), of the newest step
    clearance_mm: float | None = None  # the task's
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        plain = dataclasses.asdict(
            dataclasses.replace(self, parity=[_without_pictures(compared) for compared in self.parity])
        )
        return json.dumps(plain, indent=2, default=_plain) + "\n"


def _without_pictures(parity: Parity) -> Parity:
    return dataclasses.replace(parity, pictures={})


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value)} in the evidence")
