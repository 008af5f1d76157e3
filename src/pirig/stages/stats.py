"""`pirig stats`: normalisation statistics of a data set, without decoding an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pirig.config.places import Places, places_of
from pirig.config.schema import Config

if TYPE_CHECKING:
    from pirig.transforms.relative import Relative


def run(config: Config) -> int:
    path = make(config, places_of(config))
    print(f"stats: {path}")
    return 0


def require_data_set(places: Places) -> Path:
    """Raises ValueError where `pirig convert` has not run."""
    folder = places.data_set
    if not folder.is_dir():
        raise ValueError(f"{folder}: no data set there; run `pirig convert` with the same settings first.")
    return folder


def make(config: Config, places: Places) -> Path:
    from pirig.datasets.lerobot_read import Dataset
    from pirig.datasets.norm_stats import compute
    from pirig.transforms.normalize import save_norm_stats

    folder, path = require_data_set(places), places.norm_stats
    if not path.is_file():
        save_norm_stats(path, compute(Dataset(folder), relation=relation_of(config)))
    return path


def relation_of(config: Config) -> Relative | None:
    """What the actions are relative to in training; None: nothing."""
    from pirig.transforms.relative import Relative

    counts = tuple(config.control.relative_to_state)
    return Relative(counts, config.horizon.steps) if counts else None
