"""`pirig convert`: demos, or a data set recorded on a real arm, into a LeRobot data set with a contract."""

from __future__ import annotations

from pathlib import Path

from pirig.config.places import Places, places_of
from pirig.config.schema import Config


def run(config: Config) -> int:
    print(f"data set: {make(config, places_of(config))}")
    return 0


def make(config: Config, places: Places) -> Path:
    from pirig.datasets.make import make_data_set

    return make_data_set(config, places)
