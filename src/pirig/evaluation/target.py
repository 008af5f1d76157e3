"""Where the results of an evaluation lie, and whether they are complete; imports nothing heavy."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pirig.config.places import Places
from pirig.config.scenes import CHOICE, RANGES
from pirig.config.schema import Config, Mode, SimBackend
from pirig.evaluation.measured import load
from pirig.evaluation.seeds import step_limit
from pirig.files.atomic import move_aside, write_text
from pirig.policies.card import PolicyCard, has_card
from pirig.runs.progress import is_trained, newest_checkpoint

COUNT_KEYS = (
    "episodes",
    "oracle_episodes",
    "untrained_episodes",
    "workers",
    "videos",
    "video_every",
)  # change no episode
OF_THE_GPU = ("sim_backend", "num_envs")
SETTINGS = "settings.json"


@dataclass(frozen=True)
class Target:
    """Where an evaluation's results lie. Closed loop: `settings` is what every episode's outcome depends on, `limit` the
    steps of one. Open loop there is no episode, so none of both."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    limit: int = 0

    def enter(self, mode: Mode) -> None:
        """Older episodes stay, to be gone on with; `overwrite` moves them aside."""
        if not self.settings:
            return
        if self.folder.exists() and mode == Mode.overwrite:
            print(f"moved the older results to {move_aside(self.folder)}", file=sys.stderr)
        write_text(self.folder / SETTINGS, json.dumps(self.settings, indent=2) + "\n")


def target_of(config: Config, places: Places, checkpoint: Path, demo_lengths: Sequence[int]) -> Target:
    """Raises ValueError where eval.max_steps is shorter than the demos."""
    if not config.robot.simulated:
        return Target(recorded_folder(places.evaluations, checkpoint, config.eval.flow_steps))
    limit = step_limit(config.eval.max_steps, config.eval.step_margin, demo_lengths)
    settings = result_settings(config, checkpoint, limit)
    chosen_on = config.eval.first_seed in RANGES[CHOICE]
    folder = places.choice if chosen_on else places.evaluations
    return Target(results_folder(folder, checkpoint, settings), settings, limit)


def of_task(target: Target, task: str, config: Config, demos: PolicyCard) -> Target:
    """One task's part of the results of a mix, with the step limit of its own demos."""
    limit = step_limit(config.eval.max_steps, config.eval.step_margin, demos.demo_lengths)
    return Target(target.folder / task, {**target.settings, "limit": limit}, limit)


def result_settings(config: Config, checkpoint: Path, limit: int) -> dict[str, Any]:
    """What every episode's outcome depends on. On the CPU nothing is said of a GPU."""
    left_out = COUNT_KEYS + (OF_THE_GPU if config.eval.sim_backend == SimBackend.cpu else ())
    left_out += () if config.eval.ensemble else ("ensemble",)  # younger than results that lie there
    settings = {name: value for name, value in dataclasses.asdict(config.eval).items() if name not in left_out}
    return {"checkpoint": str(checkpoint), "limit": limit, "train_seed": config.train.seed, **settings}


def results_folder(evaluations: Path, checkpoint: Path, settings: dict[str, Any]) -> Path:
    """`<evaluations>/step<N>-<settings>`: one folder for what must not be mixed in one rate."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:6]
    return evaluations / f"step{checkpoint.name}-{digest}"


def recorded_folder(evaluations: Path, checkpoint: Path, flow_steps: int) -> Path:
    """Where the open-loop action error of a checkpoint lies."""
    return evaluations / f"step{checkpoint.name}-open-loop-{flow_steps}"


def is_measured(config: Config, places: Places) -> bool:
    """Every row of this config's evaluation of the finished checkpoint is there, with at least the episodes asked for."""
    if not config.run.checkpoint and not is_trained(config, places):
        return False
    checkpoint = Path(config.run.checkpoint) if config.run.checkpoint else newest_checkpoint(places.run)
    if checkpoint is None or not has_card(checkpoint):
        return False
    lengths = PolicyCard.load(checkpoint).demo_lengths
    earlier = load(target_of(config, places, checkpoint, lengths).folder)
    return earlier is not None and earlier.covers(config.eval)
