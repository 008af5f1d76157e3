"""`pirig stats`: normalisation statistics of a data set, without decoding an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pirig.config.agreement import contract_of
from pirig.config.schema import Config
from pirig.runs.record import data_folder, norm_stats_file

if TYPE_CHECKING:
    from pirig.transforms.relative import Relative


def run(config: Config) -> int:
    path = make(config)
    print(f"stats: {path}")
    return 0


def dataset_folder(config: Config) -> Path:
    """Raises ValueError where `pirig convert` has not run."""
    folder = data_folder(config, contract_of(config)) / "lerobot"
    if not folder.is_dir():
        raise ValueError(f"{folder}: no data set there; run `pirig convert` with the same settings first.")
    return folder


def make(config: Config) -> Path:
    from pirig.datasets.lerobot_read import Dataset
    from pirig.datasets.norm_stats import compute
    from pirig.transforms.normalize import save_norm_stats

    folder = dataset_folder(config)
    path = norm_stats_file(config, contract_of(config))
    if not path.is_file():
        save_norm_stats(path, compute(Dataset(folder), relation=relation_of(config)))
    return path


def relation_of(config: Config) -> Relative | None:
    """What the actions are relative to in training; None: nothing."""
    from pirig.transforms.relative import Relative

    counts = tuple(config.control.relative_to_state)
    return Relative(counts, config.horizon.steps) if counts else None
