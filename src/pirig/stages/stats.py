"""`pirig stats`: normalisation statistics of a data set, without decoding an image."""

from __future__ import annotations

from pathlib import Path

from pirig.config.agreement import contract_of
from pirig.config.schema import Config
from pirig.runs.record import data_folder


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
    path = folder / "meta" / "pirig" / "norm_stats.json"
    if not path.is_file():
        save_norm_stats(path, compute(Dataset(folder)))
    return path
