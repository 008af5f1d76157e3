"""Where the numbers of a run go: metrics.jsonl (every step), a table on screen; wandb is `tracking.py`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pirig.files import atomic
from pirig.files.progress import clock
from pirig.files.records import read_lines

FILE_NAME = "metrics.jsonl"
HEADER_EVERY = 20


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a metrics file; a last line that a kill cut off is left out."""
    return list(read_lines(path, "step", remedy="remove that line: its numbers are lost, no other is"))


class MetricsFile:
    """Appends one JSON line per step; on resume the rows after `first_step` (made again now) are left out.

    `write` False keeps the rows in memory only: another process writes them.
    """

    def __init__(self, folder: Path, first_step: int, write: bool = True):
        self.path = folder / FILE_NAME
        self.rows = [row for row in read_rows(self.path) if row["step"] <= first_step]
        if write:
            atomic.write_text(self.path, "".join(json.dumps(row) + "\n" for row in self.rows))
        self._file = open(self.path if write else os.devnull, "a")  # noqa: SIM115 - lives as long as the run

    def add(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        self._file.write(json.dumps(row) + "\n")

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class Screen:
    """A line of the table every `log_every` steps: means since the last line, share of the loader, ETA."""

    columns = ("step", "loss", "grad norm", "lr", "samples/s", "loader", "elapsed", "ETA")

    def __init__(self, steps: int, log_every: int, shares: Sequence[str] = (), losses: Sequence[str] = ()):
        """`shares`: names of shares in the rows to show as well, such as "mfu"; `losses`: of losses beside "loss"."""
        self.steps, self.log_every, self.shares, self.losses = steps, max(1, log_every), tuple(shares), tuple(losses)
        self._pending: list[dict[str, Any]] = []
        self._lines = 0

    def add(self, row: dict[str, Any]) -> None:
        self._pending.append(row)
        if row["step"] % self.log_every == 0 or row["step"] == self.steps:
            self._print(self._pending)
            self._pending = []

    def _print(self, rows: list[dict[str, Any]]) -> None:
        if self._lines % HEADER_EVERY == 0:
            titles = (*self.columns, *self.shares, *(name.replace("_", " ") for name in self.losses))
            print("  ".join(f"{title:>11}" for title in titles), file=sys.stderr)
        self._lines += 1
        last = rows[-1]
        timed = rows[1:] if last["step"] == len(rows) and len(rows) > 1 else rows  # the first step compiles
        step_s = float(np.mean([row["step_s"] for row in timed]))
        loader = sum(row["loader_s"] for row in timed) / max(sum(row["step_s"] for row in timed), 1e-9)
        cells = (
            f"{last['step']}/{self.steps}",
            f"{np.mean([row['loss'] for row in rows]):.4f}",
            f"{np.mean([row['grad_norm'] for row in rows]):.3f}",
            f"{last['lr']:.2e}",
            f"{np.mean([row['samples_per_s'] for row in timed]):.1f}",
            f"{loader:.1%}",
            clock(last["elapsed_s"]),
            clock(step_s * (self.steps - last["step"])),
            *(f"{np.mean([row[name] for row in timed]):.1%}" for name in self.shares),
            *(f"{np.mean([row[name] for row in rows]):.4f}" for name in self.losses),
        )
        print("  ".join(f"{cell:>11}" for cell in cells), file=sys.stderr, flush=True)


def sample_sheet(images: np.ndarray, augmented: np.ndarray | None, count: int = 8) -> np.ndarray:
    """One picture u8: the first images of a batch [B, H, W, 3] side by side, below them as the model sees them."""
    rows = [np.concatenate(list(images[:count]), axis=1)]
    if augmented is not None:
        levels = np.clip((np.asarray(augmented[:count], np.float32) + 1.0) * 127.5 + 0.5, 0, 255).astype(np.uint8)
        rows.append(np.concatenate(list(levels), axis=1))
    return np.concatenate(rows, axis=0)


def save_sheets(folder: Path, sheets: Mapping[str, np.ndarray]) -> None:
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for role, sheet in sheets.items():
        Image.fromarray(sheet).save(folder / f"step0_{role}.png")
