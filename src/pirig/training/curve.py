"""The loss curve as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pirig.files import pictures


def draw_curve(rows: Sequence[dict[str, Any]], path: Path, title: str = "", losses: Sequence[str] = ()) -> None:
    """Loss (each step and smoothed, logarithmic) and learning rate over the steps, as PNG; `losses`: names in the rows of
    losses to draw beside "loss", smoothed."""
    from matplotlib.figure import Figure

    steps = np.array([row["step"] for row in rows])
    loss = np.array([row["loss"] for row in rows])
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(steps, loss, color="tab:blue", alpha=0.25, linewidth=0.8, label="loss, each step")
    width = max(1, len(rows) // 50)
    axes.plot(steps, smooth(loss, width), color="tab:blue", label=f"mean of the last {width}")
    for name in losses:
        values = np.array([row.get(name, np.nan) for row in rows])
        axes.plot(steps, smooth(values, width), linewidth=1.0, label=name.replace("_", " "))
    axes.set(xlabel="step", ylabel="loss" if losses else "flow-matching loss", yscale="log", title=title)
    axes.grid(alpha=0.3)
    right = axes.twinx()
    right.plot(steps, [row["lr"] for row in rows], color="tab:orange", linewidth=0.8, label="learning rate")
    right.set_ylabel("learning rate")
    lines = [*axes.get_lines(), *right.get_lines()]
    axes.legend(lines, [str(line.get_label()) for line in lines], loc="upper right")
    pictures.save(figure, path)


def smooth(values: np.ndarray, width: int) -> np.ndarray:
    """The mean of each value and the width - 1 before it (fewer at the start)."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - width, 0)
    return (total[ends] - total[starts]) / (ends - starts)
