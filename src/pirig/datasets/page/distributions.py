"""Where a number is over the time of episodes, and in all frames."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

TIMES, VALUES = 40, 32  # bins of an episode's time, from its first frame to its last, and of the values
AT_BOUND, ALMOST = 0.05, 1e-6  # a share of frames at one and the same end; of the span, what counts as there


def of(episodes: Sequence[np.ndarray]) -> dict[str, Any]:
    """Of one number [T] in each episode: statistics, `counts` of VALUES bins, and `cells`: u8 [VALUES, TIMES] as base64, the
    share of the frames of a time that lie in a bin, 255 for the largest share."""
    values = np.concatenate(episodes).astype(np.float64)
    times = np.concatenate([np.linspace(0, 1, len(episode)) if len(episode) > 1 else [0.0] for episode in episodes])
    low, high = float(values.min()), float(values.max())
    shown = (low, high) if high > low else (low - 0.5, high + 0.5)
    cells, _, _ = np.histogram2d(values, times, bins=(VALUES, TIMES), range=(shown, (0, 1)))
    share = cells / np.maximum(cells.sum(0), 1)
    u8 = np.rint(255 * share / max(share.max(), 1e-12)).astype(np.uint8)
    q01, q99 = np.quantile(values, [0.01, 0.99])
    numbers = {"min": low, "max": high, "mean": values.mean(), "std": values.std(), "q01": q01, "q99": q99}
    return {
        **{name: float(f"{value:.5g}") for name, value in numbers.items()},
        "counts": cells.sum(1).astype(int).tolist(),
        "cells": base64.b64encode(u8.tobytes()).decode(),
        "mark": mark(values, low, high),
    }


def mark(values: np.ndarray, low: float, high: float) -> str:
    """What is worth a look: a number that never changes, or that often is as large as it can be."""
    if high == low:
        return "never changes"
    near = ALMOST * (high - low)
    if len(np.unique(values[: min(len(values), 5000)])) <= 2:
        return "two values"
    share = float((values >= high - near).mean() + (values <= low + near).mean())
    return f"{share:.0%} at its ends" if share >= AT_BOUND else ""


def short(rows: np.ndarray) -> list[list[float]]:
    """Numbers [T, D] as a page needs them."""
    return [[float(f"{value:.4g}") for value in row] for row in rows]
