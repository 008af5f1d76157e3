"""How far a folder has come, read from what lies in it; imports nothing heavy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pirig.config.agreement import contract_of
from pirig.config.schema import Config
from pirig.runs.record import data_folder, norm_stats_file, run_folder


def saved_step(folder: Path) -> int:
    """The step of the newest complete checkpoint, 0 without one."""
    found = (folder / "checkpoints").glob("[0-9]*")
    return max((int(path.name) for path in found if path.name.isdigit()), default=0)


def newest_checkpoint(folder: Path) -> Path | None:
    step = saved_step(folder)
    return folder / "checkpoints" / str(step) if step else None


def is_trained(config: Config) -> bool:
    return saved_step(run_folder(config)) >= config.train.steps


def has_demos(config: Config) -> bool:
    return (data_folder(config, contract_of(config)) / "demos" / "manifest.json").is_file()


def has_data_set(config: Config) -> bool:
    return (data_folder(config, contract_of(config)) / "lerobot").is_dir()


def has_stats(config: Config) -> bool:
    return norm_stats_file(config, contract_of(config)).is_file()


def read_status(folder: Path) -> dict[str, Any]:
    """status.json, {} where there is none."""
    try:
        return json.loads((folder / "status.json").read_text())
    except FileNotFoundError:
        return {}
