"""What a run has on disk about itself: its newest evaluation and how its training went."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from pirig.diagnosis.evidence import History, Outcome
from pirig.evaluation.results import ResultsFile, sub_goals
from pirig.evaluation.target import RATES


def newest_evaluation(evaluations: Path, checkpoint: Path) -> Path | None:
    """The folder of the newest finished evaluation of this checkpoint."""
    found = evaluations.glob(f"step{checkpoint.name}-*/{RATES}")
    return max((path.parent for path in found), key=lambda path: (path / RATES).stat().st_mtime, default=None)


def read(folder: Path) -> Outcome:
    rates = json.loads((folder / RATES).read_text())
    settings = json.loads((folder / "settings.json").read_text())
    row = rates["policy"]
    seeds = range(row["first_seed"], row["first_seed"] + row["n"])
    results = ResultsFile(folder / "policy").results(list(seeds))
    return Outcome(
        folder=str(folder),
        k=row["k"],
        n=row["n"],
        low=row["low"],
        high=row["high"],
        limit=settings["limit"],
        execute=settings["execute"],
        oracle=(rates["oracle"]["k"], rates["oracle"]["n"]),
        untrained=(rates["untrained"]["k"], rates["untrained"]["n"]),
        sub_goals=sub_goals(results),
        gates_skipped=list(row.get("gates_skipped", [])),
        failed_seeds=[result.scene for result in results if not result.success],
    )


def history(run: Path, steps: int, batch_size: int, frames: int) -> History:
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
    if not path.is_file():
        return []
    rows: dict[int, Any] = {}
    for line in path.read_text().splitlines():
        row = json.loads(line)
        if "loss" in row and row["step"] <= steps:
            rows[row["step"]] = row["loss"]
    return [rows[step] for step in sorted(rows)]
