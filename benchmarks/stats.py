"""Seconds of our norm stats beside a pass over the same data set that decodes images, as openpi's script does, in one run.

    python -m benchmarks.stats DATASET [--frames 512] [--repeats 3] [--device NAME]

Ours reads the number columns and is exact over all frames. The other ways iterate over samples, images and all, and
accumulate mean, standard deviation and the 5000-bin histograms of openpi's running quantiles: "lerobot" over
LeRobotDataset with a torch DataLoader (needs the real lerobot, `make test-lerobot` installs it), "decode" over our own
reader, which is the fastest pass that decodes every image. Both look at --frames frames; per-frame times are compared.
Writes benchmarks/results/stats-<device>-<date>.json.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from pirig.datasets.lerobot import format as fmt
from pirig.datasets.lerobot.read import Dataset
from pirig.datasets.norm_stats import compute

BATCH, BINS = 32, 5000
Numbers = dict[str, np.ndarray]


class Running:
    """Mean, variance and histogram quantiles, batch by batch, whose bins stretch with the range seen."""

    def __init__(self) -> None:
        self.count = 0

    def update(self, batch: np.ndarray) -> None:
        if self.count == 0:
            self.total, self.squares = np.zeros(batch.shape[1]), np.zeros(batch.shape[1])
            self.low, self.high = batch.min(0) - 1e-10, batch.max(0) + 1e-10
            self.bins = np.zeros((batch.shape[1], BINS))
        self._stretch(batch.min(0), batch.max(0))
        self.count += len(batch)
        self.total += batch.sum(0)
        self.squares += np.square(batch).sum(0)
        for number in range(batch.shape[1]):
            self.bins[number] += np.histogram(batch[:, number], BINS, (self.low[number], self.high[number]))[0]

    def _stretch(self, low: np.ndarray, high: np.ndarray) -> None:
        for number in np.flatnonzero((low < self.low) | (high > self.high)):
            edges = np.linspace(self.low[number], self.high[number], BINS + 1)[:-1]
            self.low[number], self.high[number] = (
                min(low[number], self.low[number]),
                max(high[number], self.high[number]),
            )
            bounds = (self.low[number], self.high[number])
            self.bins[number] = np.histogram(edges, BINS, bounds, weights=self.bins[number])[0]

    @property
    def mean(self) -> np.ndarray:
        return self.total / self.count


def pass_over(samples: Iterator[Numbers]) -> dict[str, Running]:
    found = {"state": Running(), "actions": Running()}
    for numbers in samples:
        for name, running in found.items():
            running.update(numbers[name].astype(np.float64))
    return found


def decoded(dataset: Dataset, frames: int) -> Iterator[Numbers]:
    for start in range(0, frames, BATCH):
        rows = slice(start, min(start + BATCH, frames))
        for row in range(rows.start, rows.stop):
            for role in dataset.roles:
                dataset.image(role, row)
        yield {"state": dataset.state[rows], "actions": dataset.actions[rows]}


def of_lerobot(dataset: Dataset, frames: int, theirs: Any) -> Iterator[Numbers]:
    from torch.utils.data import DataLoader, Subset

    for batch in DataLoader(Subset(theirs, range(frames)), batch_size=BATCH):
        yield {"state": batch[fmt.STATE_KEY].numpy(), "actions": batch[fmt.ACTION_KEY].numpy()}


def timed(run: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Median seconds."""
    seconds, result = [], None
    for _ in range(repeats):
        started_s = time.perf_counter()
        result = run()
        seconds.append(time.perf_counter() - started_s)
    return float(np.median(seconds)), result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--frames", type=int, default=512, help="of the passes that decode")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default=report.MACHINE)
    chosen = parser.parse_args()
    from tests.datasets.real_lerobot import import_lerobot

    dataset = Dataset(chosen.dataset)
    frames = min(chosen.frames, dataset.frame_count)
    theirs = import_lerobot().LeRobotDataset("bench/x", root=dataset.folder)
    ways = {
        "ours": (dataset.frame_count, lambda: compute(Dataset(chosen.dataset))),  # opening and reading included
        "decode": (frames, lambda: pass_over(decoded(dataset, frames))),
        "lerobot": (frames, lambda: pass_over(of_lerobot(dataset, frames, theirs))),
    }
    rows = {}
    for name, (count, run) in ways.items():
        seconds, result = timed(run, chosen.repeats if name == "ours" else 1)
        rows[name] = {"frames": count, "seconds": seconds, "ms_per_frame": 1e3 * seconds / count}
        if name != "ours":
            assert np.allclose(result["state"].mean, dataset.state[:frames].mean(0), atol=1e-4)
        print(f"{name:8} {rows[name]}", flush=True)
    ratios = {f"to_{name}": rows[name]["ms_per_frame"] / rows["ours"]["ms_per_frame"] for name in ("decode", "lerobot")}
    result = {
        "what": "norm stats of a data set: number columns only beside passes that decode every image",
        "cameras": [[camera.role, camera.width_px, camera.height_px] for camera in dataset.contract.cameras],
        "rows": rows,
        "ratios": ratios,
    }
    print(ratios)
    report.write("stats", chosen.device, result, ("lerobot", "datasets", "torch", "numpy", "pyarrow"))


if __name__ == "__main__":
    main()
