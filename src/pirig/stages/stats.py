"""`pirig stats`: normalisation statistics of a data set, without decoding an image."""

from __future__ import annotations

from pathlib import Path

from pirig.config.places import Places, places_of
from pirig.config.schema import Config
from pirig.runs.stages import measured


def run(config: Config) -> int:
    places = places_of(config)
    with measured(places.data, "stats"):
        made = make(config, places)
    print(f"stats: {made}")
    return 0


def make(config: Config, places: Places) -> Path:
    from pirig.datasets.make_stats import make_norm_stats

    return make_norm_stats(config, places)
