"""Normalisation statistics: exact, from every frame, after the state recipe and before padding; no image is decoded."""

from __future__ import annotations

import numpy as np

from pirig.datasets.lerobot_read import Dataset
from pirig.transforms.normalize import NormStats


def compute(dataset: Dataset) -> dict[str, NormStats]:
    """{"state", "actions"}: mean, population standard deviation, 1 % and 99 % quantiles over all frames."""
    return {"state": of_rows(dataset.state), "actions": of_rows(dataset.actions)}


def of_rows(rows: np.ndarray) -> NormStats:
    """Statistics over the first axis of [N, D], computed in float64."""
    values = rows.astype(np.float64)
    q01, q99 = np.quantile(values, [0.01, 0.99], axis=0)
    return NormStats(values.mean(0), values.std(0), q01, q99)
