"""Where the results of an evaluation lie, and whether they are complete; imports nothing heavy."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from pirig.config.places import Places
from pirig.config.schema import Config, SimBackend
from pirig.evaluation.seeds import step_limit
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

RATES = "rates.json"
ACTION_ERROR = "action_error.json"  # of an arm that is not simulated, in its place


def result_settings(config: Config, checkpoint: Path, limit: int) -> dict[str, Any]:
    """What every episode's outcome depends on. On the CPU nothing is said of a GPU."""
    left_out = COUNT_KEYS + (OF_THE_GPU if config.eval.sim_backend == SimBackend.cpu else ())
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
    if not config.robot.simulated:
        return (recorded_folder(places.evaluations, checkpoint, config.eval.flow_steps) / ACTION_ERROR).is_file()
    limit = step_limit(config.eval.max_steps, config.eval.step_margin, PolicyCard.load(checkpoint).demo_lengths)
    path = results_folder(places.evaluations, checkpoint, result_settings(config, checkpoint, limit)) / RATES
    if not path.is_file():
        return False
    rates, asked = json.loads(path.read_text()), config.eval
    wanted = {"policy": asked.episodes, "untrained": asked.untrained_episodes, "oracle": 1}
    return all(rates[row]["n"] >= count for row, count in wanted.items())
