"""A run is known by what decides its result: the resolved training config, and nothing else."""

from __future__ import annotations

import dataclasses
import hashlib
import json

from pirig.config.schema import Config
from pirig.runs.record import training_slice


def run_id(config: Config) -> str:
    """8 hex digits of what a trained checkpoint depends on; folders, evaluation and logging do not change them."""
    text = json.dumps(training_slice(config), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def named_by_id(config: Config) -> Config:
    """The config with its id at the end of `run.name`: points that differ in any key get folders of their own."""
    run = dataclasses.replace(config.run, name=f"{config.run.name}-{run_id(config)}")
    return dataclasses.replace(config, run=run)
