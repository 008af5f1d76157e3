"""A critic's calibration as a picture."""

from __future__ import annotations

from pathlib import Path

from pirig.files import pictures
from pirig.improving.critic.calibration import BINS, Calibration, Ranking

FILE_NAME = "calibration.png"


def draw(calibration: Calibration, path: Path, title: str = "") -> None:
    """What happened over what was predicted, a point a bin with its number of rows, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 5.5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, label="as predicted")
    bins = calibration.bins
    axes.plot([one.predicted for one in bins], [one.happened for one in bins], "o-", color="tab:blue", label="critic")
    for one in bins:
        axes.annotate(f"n={one.n}", (one.predicted, one.happened), (4, -12), textcoords="offset points", fontsize=8)
    held_out = f"{calibration.successes} successes, {calibration.failures} failures held out"
    axes.set(xlabel="predicted value", ylabel="return that came", xlim=(-0.05, 1.05), ylim=(-0.05, 1.05))
    axes.set_title("\n".join(part for part in (title, held_out, said_of(calibration.ranking)) if part), fontsize=10)
    axes.set_xticks([one / BINS for one in range(0, BINS + 1, 2)])
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    pictures.save(figure, path)


def said_of(ranking: Ranking | None) -> str:
    if ranking is None:
        return "success is not ranked: one of the kinds is missing"
    return f"a success above a failure: {ranking.auc:.0%} of the pairs ({ranking.low:.0%} to {ranking.high:.0%})"
