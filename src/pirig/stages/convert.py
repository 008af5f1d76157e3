"""`pirig convert`: demos, or a data set recorded on a real arm, into a LeRobot data set with a contract."""

from __future__ import annotations

from pathlib import Path

from pirig.config.places import Places, places_of
from pirig.config.schema import Config
from pirig.runs.stages import measured
from pirig.stages.demos import left_out_status


def run(config: Config) -> int:
    places = places_of(config)
    with measured(places.data, "convert"):
        made = make(config, places)
    print(f"data set: {made}")
    return left_out_status(config, places)


def make(config: Config, places: Places) -> Path:
    from pirig.datasets.make import make_data_set

    return make_data_set(config, places)
