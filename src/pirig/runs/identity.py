"""A run is known by what decides its result: the resolved training config, and nothing else."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

from pirig.config.aliases import old_keys, retired_values
from pirig.config.plain import as_plain, flat
from pirig.config.schema import Config
from pirig.runs.record import PATHS, training_slice


def run_id(config: Config) -> str:
    """8 hex digits of what a trained checkpoint depends on; folders, evaluation and logging do not change them.

    Values that are the schema's defaults are left out, so that a key which a later version adds changes no older run's id
    (`open_run` still compares every key of a folder that it enters). Keys that went are hashed with the values that they had,
    keys that moved under their old names.
    """
    return _digest(_said(config))[:8]


def settings_id(config: Config) -> str:
    """As `run_id`, without the paths of data and weights: they are known by what lies there, wherever that is."""
    return _digest({key: value for key, value in _said(config).items() if not _is_path(key)})[:16]


def _said(config: Config) -> dict[str, Any]:
    usual = old_keys(flat(as_plain(Config())))
    asked = old_keys(flat(training_slice(config))) | retired_values(config)
    return {key: value for key, value in asked.items() if value not in (None, usual.get(key))}


def _is_path(key: str) -> bool:
    return key in PATHS or (key.startswith("mix.sources.") and key.endswith(".path"))


def _digest(said: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def named_by_id(config: Config) -> Config:
    """The config with its id at the end of `run.name`: points that differ in any key get folders of their own."""
    run = dataclasses.replace(config.run, name=f"{config.run.name}-{run_id(config)}")
    return dataclasses.replace(config, run=run)
