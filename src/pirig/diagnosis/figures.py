"""The page's pictures, as PNG bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from pirig.diagnosis.evidence import HandOver, Parity
from pirig.evaluation.open_loop import Errors

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {"policy": "tab:blue", "mean": "tab:gray", "repeat": "tab:orange"}
WORDS = {"policy": "policy", "mean": "always the mean action", "repeat": "repeat the last action"}


def open_loop(sets: dict[str, Errors], names: list[str], execute: int | None) -> bytes:
    """A row per set ("training", "held-out"): error by action number, and by step of the chunk."""
    figure = _figure(11, 3.4 * len(sets))
    axes = figure.subplots(len(sets), 2, squeeze=False)
    for (label, errors), (left, right) in zip(sets.items(), axes, strict=True):
        places = np.arange(len(errors.scale))
        for offset, which in enumerate(WORDS):
            bars = getattr(errors, which).mean(axis=0)
            left.bar(places + (offset - 1) * 0.27, bars, 0.27, color=COLOURS[which], label=WORDS[which])
            steps = [errors.relative(which, slice(step, step + 1)) for step in range(len(errors.policy))]
            right.plot(range(1, len(steps) + 1), steps, color=COLOURS[which], label=WORDS[which], marker=".")
        left.set_xticks(places, [names[i] if i < len(names) else str(i) for i in places])
        left.set(ylabel="mean |difference|", title=f"{label}: by action number (simulator's units)")
        right.set(xlabel="step of the chunk", ylabel="share of the mean action's", title=f"{label}: by chunk step")
        if execute:
            right.axvspan(0.5, execute + 0.5, color="tab:green", alpha=0.08, label="executed")
        right.set_ylim(bottom=0)
        right.legend(fontsize=8)
    return _png(figure)


def hand_overs(rows: list[HandOver]) -> bytes:
    """Success over the share of the demo's steps that the first one took."""
    figure = _figure(7, 3.2)
    axes = figure.add_subplot()
    words = {"policy": "policy first, then the demo's actions", "demo": "demo first, then the policy"}
    for first, text in words.items():
        part = [row for row in rows if row.first == first]
        axes.plot([row.share for row in part], [row.k / row.n for row in part], marker="o", label=text, alpha=0.8)
    axes.set(xlabel="hand-over after this share of the demo's steps", ylabel="share that succeeds", ylim=(-0.05, 1.05))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return _png(figure)


def funnel(columns: dict[str, tuple[dict[str, int], int]]) -> bytes:
    """Bars of each sub-goal's share; `columns`: label -> (sub-goal -> episodes, of how many)."""
    figure = _figure(7, 3.2)
    axes = figure.add_subplot()
    names = list(dict.fromkeys(name for goals, _ in columns.values() for name in goals))
    width = 0.8 / len(columns)
    for number, (label, (goals, n)) in enumerate(columns.items()):
        places = np.arange(len(names)) + (number - (len(columns) - 1) / 2) * width
        bars = axes.bar(places, [goals.get(name, 0) / n for name in names], width, label=f"{label} ({n} episodes)")
        axes.bar_label(bars, [str(goals.get(name, 0)) for name in names], fontsize=8)
    axes.set_xticks(range(len(names)), names, fontsize=8)
    axes.set(ylabel="share of episodes", ylim=(0, 1.12))
    axes.legend(fontsize=8)
    return _png(figure)


def parity(rows: list[Parity]) -> bytes:
    """Training, evaluation and their difference side by side, a row per frame and camera."""
    pictures = [(row, role, *both) for row in rows for role, both in row.pictures.items()]
    figure = _figure(8.4, 2.9 * len(pictures))
    axes = figure.subplots(len(pictures), 3, squeeze=False)
    for (row, role, ours, theirs), panels in zip(pictures, axes, strict=True):
        difference = np.abs(ours.astype(np.int16) - theirs.astype(np.int16)).max(axis=-1)
        panels[0].imshow(ours)
        panels[1].imshow(theirs)
        shown = panels[2].imshow(difference, cmap="magma", vmin=0, vmax=max(8, int(difference.max())))
        figure.colorbar(shown, ax=panels[2], fraction=0.046)
        panels[0].set_ylabel(f"{role}\nseed {row.seed}, step {row.step}", fontsize=8)
        for panel, title in zip(panels, ("training", "evaluation", "difference"), strict=True):
            panel.set(xticks=[], yticks=[])
            panel.set_title(title, fontsize=9)
    return _png(figure)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _png(figure: Figure) -> bytes:
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=100)
    return target.getvalue()
