"""What a point will take, from runs alike that left a record: hours, and the most memory."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pirig.comparison.collect import run_folders
from pirig.config.aliases import current
from pirig.config.plain import as_plain, flat
from pirig.config.schema import Config
from pirig.runs.stages import entries, in_words
from pirig.sweeps.points import Point

DECIDES = (  # what of a config decides the time of a step or an episode, and its memory
    "task.name", "robot.name", "camera.name", "model.name", "size.name", "tower.name", "finetune.name", "weights.name",
    "horizon.steps", "fsdp.devices", "trainer", "train.batch_size", "train.accumulate", "train.remat", "train.flow_samples",
    "train.ema", "eval.sim_backend",
)  # fmt: skip
STEPS, EPISODES = "train.steps", ("eval.episodes", "eval.oracle_episodes", "eval.untrained_episodes")


@dataclass(frozen=True)
class Past:
    """A run: its config, flat, and the entries of its stages that came to their end."""

    config: dict[str, Any]
    stages: list[dict[str, Any]]


@dataclass(frozen=True)
class Expected:
    """`hours`, `peak_gb` (of a GPU where they used one) and on what the `runs` alike, so many, were measured."""

    hours: float
    peak_gb: float
    runs: int
    hardware: str

    @property
    def text(self) -> str:
        return f"{self.hours:.2g} h, {self.peak_gb:.2g} GB"


def past_runs(root: Path) -> list[Past]:
    """Those below `root` that left a record; what cannot be read is passed over."""
    return [past for folder in run_folders(root) if (past := _past(folder)) is not None] if root.is_dir() else []


def expected(point: Point, stages: Sequence[str], past: Sequence[Past]) -> Expected | None:
    """Of `stages` (train, report, eval, data, ...) of a point, None where no run alike has them."""
    asked = flat(as_plain(point.config))
    alike = [run for run in past if all(run.config.get(key) == asked.get(key) for key in DECIDES)]
    names = [name for stage in stages for name in PARTS.get(stage, (stage,))]
    found = {name: _of_stage(name, asked, alike) for name in names}
    known = {name: costs for name, costs in found.items() if costs}
    if not known or ("train" in names and "train" not in known):
        return None
    minutes = sum(statistics.median(minutes for minutes, _ in costs) for costs in known.values())
    peak = max(peak for costs in known.values() for _, peak in costs)
    machines = [in_words(entry.get("hardware", {})) for run in alike for entry in run.stages]
    return Expected(minutes / 60, peak, len(alike), max(set(machines), key=machines.count))


PARTS = {"data": ("demos", "convert", "stats"), "report": ("eval",)}  # of a sweep's jobs


def _of_stage(name: str, asked: dict[str, Any], alike: Sequence[Past]) -> list[tuple[float, float]]:
    """(minutes, GB) of each run alike, as much of the stage as the point asks for."""
    costs = []
    for run in alike:
        of_stage = [entry for entry in run.stages if entry["stage"] == name]
        if not of_stage:
            continue
        minutes = sum(float(entry["minutes"]) for entry in of_stage)
        peaks = [peak for entry in of_stage for peak in (entry.get("gpu_peak_gb") or [entry["peak_gb"]])]
        costs.append((minutes * _times(name, asked, run, of_stage[-1]), max(peaks)))
    return costs


def _times(name: str, asked: dict[str, Any], run: Past, last: dict[str, Any]) -> float:
    """How many times as much the point asks for as the run made."""
    if name == "train":
        return float(asked[STEPS]) / max(float(last.get("steps") or run.config.get(STEPS) or 1), 1)
    if name == "eval":
        then, now = (sum(float(config.get(key) or 0) for key in EPISODES) for config in (run.config, asked))
        return now / max(then, 1)
    return 1.0


def _past(folder: Path) -> Past | None:
    done = [entry for entry in entries(folder) if entry.get("ended") == "done" and "minutes" in entry]
    if not done:
        return None
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        saved = flat(current(yaml.load((folder / "config.yaml").read_text(), loader)))
    except (OSError, ValueError, yaml.YAMLError, AttributeError):
        return None
    return Past(_defaults() | saved, done)


def _defaults() -> dict[str, Any]:
    return {key: value for key, value in flat(as_plain(Config())).items() if value != "???"}
