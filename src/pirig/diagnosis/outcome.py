"""What a run has on disk about itself: its newest evaluation and how its training went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pirig.comparison.success import SuccessRow
from pirig.diagnosis.evidence import History, Outcome
from pirig.evaluation.measured import RATES, UNTRAINED, ZERO_SHOT, load
from pirig.evaluation.results import ResultsFile, sub_goals
from pirig.evaluation.target import SETTINGS
from pirig.files.records import read_lines, read_record

# 16 of 36 failed episodes of a stack_cube policy end below this, no 40 steps of one that succeeds are
STILL_STEPS, STILL = 40, 0.1


def newest_evaluation(evaluations: Path, checkpoint: Path) -> Path | None:
    """The folder of the newest finished evaluation of this checkpoint; one that told it other tasks' sentences is none."""
    rates = evaluations.glob(f"step{checkpoint.name}-*/{RATES}")
    usual = [path.parent for path in rates if not read_record(path.parent / SETTINGS).get("exchange_prompts")]
    return max(usual, key=lambda folder: (folder / RATES).stat().st_mtime, default=None)


def read(folder: Path, task: str = "") -> Outcome:
    """Of a finished closed-loop evaluation; `task`: of a mix, which of its tasks."""
    measured = load(folder)
    assert measured is not None  # newest_evaluation has seen its file
    rates = measured.tasks[task] if task else measured.rates
    row = rates["policy"]
    settings = read_record(folder / SETTINGS, "limit", "execute")
    assert row.first_seed is not None
    seeds = range(row.first_seed, row.first_seed + row.n)
    file = ResultsFile(folder / task / "policy")
    results = file.results(list(seeds))
    failed = [result.scene for result in results if not result.success]
    return Outcome(
        folder=str(folder),
        k=row.k,
        n=row.n,
        low=row.low,
        high=row.high,
        limit=row.max_steps or settings["limit"],
        execute=settings["execute"],
        oracle=_counts(rates, "oracle"),
        start=_start(rates),
        sub_goals=sub_goals(results),
        gates_skipped=row.gates_skipped,
        failed_seeds=failed,
        stood_still=stood_still(file.all_actions(list(seeds)), file.all_actions(failed)),
    )


def stood_still(episodes: Sequence[np.ndarray], failed: Sequence[np.ndarray]) -> int:
    """How many of the failed episodes' actions [T, A] vary in their last STILL_STEPS by less than STILL of what those of all
    episodes do, in the root mean square over the numbers."""
    if not failed:
        return 0
    spread = np.concatenate(list(episodes)).std(axis=0, dtype=np.float64)
    used = spread > 0
    ends = [actions[-STILL_STEPS:] for actions in failed if len(actions) >= STILL_STEPS]
    if not used.any():
        return len(ends)
    return sum(float(np.sqrt(np.square(end.std(axis=0)[used] / spread[used]).mean())) < STILL for end in ends)


def _start(rates: Mapping[str, SuccessRow]) -> tuple[str, int, int]:
    """What training started from, in words, and its (k, n)."""
    name = ZERO_SHOT if ZERO_SHOT in rates else UNTRAINED
    return name.replace("_", "-"), *_counts(rates, name)


def _counts(rates: Mapping[str, SuccessRow], name: str) -> tuple[int, int]:
    """(k, n) of a row, (0, 0) where the evaluation had none."""
    row = rates.get(name)
    return (row.k, row.n) if row else (0, 0)


def label_errors(run: Path, losses: Sequence[str], steps: int) -> dict[str, float]:
    """What auxiliary losses measured last on held-out frames, by its name with the unit: {"cubeA_position_mm": 31.0}."""
    path, last = run / "metrics.jsonl", dict[str, float]()
    for row in read_lines(path, "step"):
        if row["step"] > steps:
            break
        for loss in losses:
            prefix = f"validation_{loss}_"
            named = {name.removeprefix(prefix): row[name] for name in row if name.startswith(prefix)}
            last |= {name: value for name, value in named.items() if name.endswith(("_mm", "_deg"))}
    return last


def history(run: Path, steps: int, batch_size: float, frames: int) -> History:
    """From metrics.jsonl, where it is there; lines of other kinds (validation) are passed over."""
    losses = _losses(run / "metrics.jsonl", steps)
    epochs = steps * batch_size / frames
    if not losses:
        return History(steps, epochs)
    fifth = max(1, len(losses) // 5)
    before = np.mean(losses[-2 * fifth : -fifth]) if len(losses) >= 2 * fifth else losses[0]
    last = float(np.mean(losses[-fifth:]))
    return History(steps, epochs, float(losses[0]), last, float(1 - last / before))


def _losses(path: Path, steps: int) -> list[float]:
    rows: dict[int, Any] = {}
    for row in read_lines(path, "step"):
        if "loss" in row and row["step"] <= steps:
            rows[row["step"]] = row["loss"]
    return [rows[step] for step in sorted(rows)]
