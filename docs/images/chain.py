"""Draws chain.png, the picture of the chain in the README: `python docs/images/chain.py`.

The frames are those of quickstart-episodes.png (held-out scene 100001), the two bars what `make demo` gave, 36/40 and
untrained 0/20, with their Wilson intervals; the table, the bell and the loss curve are sketches.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Polygon
from PIL import Image

from pirig.comparison.statistics import wilson

HERE = Path(__file__).parent
INK, PALE, BLUE, GREEN, RED, SAND = "#1f2933", "#52606d", "#2563a8", "#2f855a", "#c0392b", "#f5f7fa"
WIDTH, HEIGHT = 120.0, 47.0
BOX_WIDTH, BOX_HEIGHT, BOX_BOTTOM, GAP = 16.4, 21.0, 16.0, 3.6
STATIONS = (
    ("demos", "planned, downloaded\nor recorded"),
    ("data set", "LeRobot v3.0,\nreplayed with cameras"),
    ("norm stats", "of state and actions,\nheld-out episodes left out"),
    ("training", "pi0 / pi0.5 in JAX, from\nscratch or openpi's weights"),
    ("evaluation", "held-out scenes,\nvideos, funnel"),
    ("comparison", "do two runs differ?\nintervals, p values"),
)
GATES = (2, 3)  # before the training and before the evaluation


def left_of(index: int) -> float:
    return 2.0 + index * (BOX_WIDTH + GAP)


def station(axes: Axes, index: int) -> Axes:
    """The box of one station; returns the axes for the small picture in it."""
    name, text = STATIONS[index]
    left = left_of(index)
    box = FancyBboxPatch(
        (left, BOX_BOTTOM), BOX_WIDTH, BOX_HEIGHT, boxstyle="round,pad=0,rounding_size=1.2", fc="white", ec=INK, lw=1.4
    )
    axes.add_patch(box)
    middle = left + BOX_WIDTH / 2
    axes.text(
        middle, BOX_BOTTOM + BOX_HEIGHT - 2.4, name, ha="center", va="center", fontsize=13, weight="bold", color=INK
    )
    axes.text(middle, BOX_BOTTOM + 2.9, text, ha="center", va="center", fontsize=8.2, color=PALE, linespacing=1.25)
    return axes.inset_axes((left + 3.0, BOX_BOTTOM + 5.9, BOX_WIDTH - 6.0, 10.6), transform=axes.transData)


def frame_u8(row: int, column: int) -> np.ndarray:
    """One frame of the contact sheet, [H, W, 3] u8; its cells are 112 px, 131.3 px apart across and 120 px down."""
    sheet = np.asarray(Image.open(HERE / "quickstart-episodes.png").convert("RGB"))
    left, top = 81 + round(column * 131.3), 6 + row * 120
    return sheet[top : top + 109, left : left + 109]


def bare(picture: Axes) -> Axes:
    picture.set_xticks([])
    picture.set_yticks([])
    for spine in picture.spines.values():
        spine.set_color("#9aa5b1")
    return picture


def draw_data_set(picture: Axes) -> None:
    """Rows of a table: a frame, the state as a strip, the action as a strip."""
    random = np.random.default_rng(3)
    picture.set(xlim=(0, 10), ylim=(0, 9))
    for row in range(3):
        bottom = 6.3 - row * 2.9
        picture.imshow(frame_u8(0, 2 * row + 1), extent=(0.4, 2.9, bottom, bottom + 2.4), aspect="auto")
        for strip, colors in ((3.5, "Blues"), (6.9, "Oranges")):
            values = random.uniform(0.15, 0.9, (1, 7))
            extent = (strip, strip + 2.9, bottom + 0.5, bottom + 1.9)
            picture.imshow(values, cmap=colors, vmin=0, vmax=1, extent=extent, aspect="auto")
    picture.set(xlim=(0, 10), ylim=(0, 9))


def draw_statistics(picture: Axes) -> None:
    grid = np.linspace(-3, 3, 200)
    picture.fill_between(grid, np.exp(-((grid + 0.4) ** 2)), color=BLUE, alpha=0.35, lw=0)
    picture.plot(grid, np.exp(-((grid + 0.4) ** 2)), color=BLUE, lw=1.4)
    for quantile, name in ((-2.0, "q01"), (1.2, "q99")):
        picture.axvline(quantile, color=INK, lw=1.0, ls=(0, (3, 2)))
        picture.text(quantile, 1.1, name, fontsize=7, ha="center", color=INK)
    picture.set(xlim=(-3, 3), ylim=(0, 1.35))


def draw_training(picture: Axes) -> None:
    step = np.arange(1, 190)
    noise = np.random.default_rng(0).normal(0, 0.09, step.size)
    trend = 2.2 / (1 + (step / 2.2) ** 0.87)
    picture.semilogy(step, trend * np.exp(noise), color=BLUE, alpha=0.35, lw=0.8)
    picture.semilogy(step, trend, color=BLUE, lw=1.6)
    picture.text(183, 1.0, "loss", fontsize=8, ha="right", va="center", color=INK)
    picture.minorticks_off()
    bare(picture)


def draw_comparison(picture: Axes) -> None:
    for row, (successes, episodes, color) in enumerate(((36, 40, GREEN), (0, 20, RED))):
        low, high = wilson(successes, episodes)
        picture.barh(1 - row, successes / episodes, height=0.5, color=color, alpha=0.75)
        picture.plot([low, high], [1 - row] * 2, color=INK, lw=1.6)
        picture.plot([low, low, high, high], [1 - row] * 4, "|", color=INK, ms=7)
        picture.text(1.66, 1 - row, f"{successes}/{episodes}", fontsize=8, ha="right", va="center", color=INK)
    picture.set(xlim=(0, 1.75), ylim=(-0.55, 1.55))


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], **style: object) -> None:
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=13, shrinkA=0, shrinkB=0, **style))


def band(axes: Axes, first: int, last: int, bottom: float, text: str, color: str, height: float = 4.4) -> None:
    left, right = left_of(first), left_of(last) + BOX_WIDTH
    shape = FancyBboxPatch(
        (left, bottom), right - left, height, boxstyle="round,pad=0,rounding_size=1.2", fc=color, ec="none"
    )
    axes.add_patch(shape)
    axes.text((left + right) / 2, bottom + height / 2, text, ha="center", va="center", fontsize=10.5, color="white")


def gate(axes: Axes, index: int, height: float) -> None:
    """A gate on the arrow after station `index`."""
    middle = left_of(index) + BOX_WIDTH + GAP / 2
    corners = [(middle, height + 2.3), (middle + 1.35, height), (middle, height - 2.3), (middle - 1.35, height)]
    axes.add_patch(Polygon(corners, closed=True, fc="#f6c453", ec=INK, lw=1.1, zorder=4))
    axes.text(middle, height + 3.4, "gate", ha="center", va="bottom", fontsize=8.2, color=INK, zorder=5)


def draw() -> plt.Figure:
    figure = plt.figure(figsize=(12, 4.7), dpi=150, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
    axes.axis("off")
    pictures = [bare(station(axes, index)) for index in range(len(STATIONS))]
    pictures[0].imshow(frame_u8(0, 3), aspect="auto")
    draw_data_set(pictures[1])
    draw_statistics(pictures[2])
    draw_training(pictures[3])
    pictures[4].imshow(frame_u8(0, 7), aspect="auto")
    draw_comparison(pictures[5])
    height = BOX_BOTTOM + BOX_HEIGHT / 2
    for index in range(len(STATIONS) - 1):
        right = left_of(index) + BOX_WIDTH
        arrow(axes, (right + 0.3, height), (right + GAP - 0.3, height), color=INK, lw=1.6, zorder=3)
    for index in GATES:
        gate(axes, index, height)
    band(
        axes,
        0,
        4,
        40.4,
        "one resolved config:  task=push_cube  model=pi0  tower=keypoints  camera=close  horizon=16  size=tiny",
        BLUE,
    )
    for index in range(len(STATIONS)):
        middle = left_of(index) + BOX_WIDTH / 2
        color = BLUE if index < 5 else INK
        arrow(axes, (middle, 40.2), (middle, BOX_BOTTOM + BOX_HEIGHT + 0.3), color=color, lw=1.1)
    axes.text(left_of(5) + BOX_WIDTH / 2, 42.6, "other runs", ha="center", va="center", fontsize=10.5, color=INK)
    band(
        axes,
        0,
        4,
        8.6,
        "the contract: cameras, control, state, prompt, rates. Written once, copied along, compared at every door",
        GREEN,
    )
    for index in range(5):
        middle = left_of(index) + BOX_WIDTH / 2
        arrow(axes, (middle, 13.1), (middle, BOX_BOTTOM - 0.3), color=GREEN, lw=1.1)
    tail, head = left_of(5) + BOX_WIDTH / 2, left_of(0) + BOX_WIDTH / 2
    axes.plot([tail, tail, head], [BOX_BOTTOM - 0.3, 4.2, 4.2], color=RED, lw=1.4)
    arrow(axes, (head, 4.2), (head, 8.3), color=RED, lw=1.4)
    text = "0 %?  pirig diagnose: ranked causes, from the data set to the last step of an episode"
    axes.text(
        WIDTH / 2, 4.2, text, ha="center", va="center", fontsize=9.5, color=RED, bbox={"fc": "white", "ec": "none"}
    )
    return figure


if __name__ == "__main__":
    target = HERE / "chain.png"
    draw().savefig(target)
    Image.open(target).convert("RGB").quantize(160).save(target, optimize=True)
