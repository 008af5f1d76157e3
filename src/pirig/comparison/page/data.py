"""What the page shows, as one JSON object: everything that many rows share is written once."""

from __future__ import annotations

import time
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from pirig.comparison.collect import Run
from pirig.comparison.compare import Comparison, Row
from pirig.comparison.curves import Curve, coarser
from pirig.comparison.export import costs_plain, count_plain, finite, training_plain
from pirig.comparison.statistics import compare_counts, rounded

POINTS = 60_000  # buckets of one metric over all runs: what a page draws without delay
FEWEST_BUCKETS = 120


def page_data(comparison: Comparison) -> dict[str, Any]:
    runs = list({row.run.folder: row.run for row in comparison.rows}.values())
    places = {run.folder: place for place, run in enumerate(runs)}
    buckets = max(FEWEST_BUCKETS, POINTS // len(runs))
    first = comparison.rows[0].settings
    data = {
        "made": time.strftime("%Y-%m-%d %H:%M"),
        "columns": [{"name": column.name, "key": column.key} for column in comparison.columns],
        "keys": comparison.keys,
        "common": {key: value for key, value in first.items() if key not in comparison.keys},
        "rows": [_row(row, places, comparison.keys) for row in comparison.rows],
        "runs": [_run(run, comparison, buckets) for run in runs],
        "contracts": {run.contract_hash: run.contract for run in runs},
        "verdicts": verdicts(comparison),
    }
    return finite(data)


def _row(row: Row, places: dict[Any, int], keys: list[str]) -> dict[str, Any]:
    evaluation = row.evaluation
    return {
        "label": row.label,
        "task": row.task,
        "run": places[row.run.folder],
        "checkpoint": evaluation.step if evaluation else None,
        "limit": evaluation.settings.get("limit") if evaluation else None,
        "settings": {key: row.settings[key] for key in keys if key in row.settings},
        "counts": {name: count_plain(count) for name, count in evaluation.rows.items()} if evaluation else {},
        "finished": row.measured is not None,
        "marks": row.marks,
    }


def _run(run: Run, comparison: Comparison, buckets: int) -> dict[str, Any]:
    row = next(row for row in comparison.rows if row.run is run)
    axes: list[dict[str, Any]] = []
    curves = {name: _curve(coarser(curve, buckets), axes) for name, curve in run.training.curves.items()}
    return {
        "name": row.label.split("@")[0],
        "folder": str(run.folder),
        "state": run.state,
        **training_plain(row),
        "axes": axes,
        "curves": curves,
        "data_set": run.data_set,
        "contract": run.contract_hash,
        "environment": run.environment,
        "stages": costs_plain(run),
    }


def _curve(curve: Curve, axes: list[dict[str, Any]]) -> dict[str, Any]:
    """`low` and `high` are left out where they equal the mean, an axis that is there already is named by its place."""
    axis = {"step": curve.step.astype(int).tolist(), "elapsed": _short(curve.elapsed_s)}
    if axis not in axes:
        axes.append(axis)
    plain = {"axis": axes.index(axis), "mean": _short(curve.mean)}
    if not np.allclose(curve.low, curve.high):
        plain |= {"low": _short(curve.low), "high": _short(curve.high)}
    return plain


def _short(values: np.ndarray) -> list[float]:
    return [float(f"{value:.4g}") for value in values]


def verdicts(comparison: Comparison) -> dict[str, list[Any]]:
    """ "k/n:k/n" (the lower k first, then the lower n) -> p, does it differ, episodes needed (rounded; null: equal)."""
    counts = sorted({(row.measured.k, row.measured.n) for row in comparison.rows if row.measured})
    answers = {}
    for (k1, n1), (k2, n2) in combinations_with_replacement(counts, 2):
        verdict = compare_counts(k1, n1, k2, n2)
        needed = rounded(verdict.episodes) if verdict.episodes else None
        answers[f"{k1}/{n1}:{k2}/{n2}"] = [float(f"{verdict.p:.3g}"), verdict.differ, needed]
    return answers
