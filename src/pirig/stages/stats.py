"""`pirig stats`: normalisation statistics of a data set, without decoding an image."""

from __future__ import annotations

from pathlib import Path

from pirig.config.places import Places, places_of
from pirig.config.schema import Config


def run(config: Config) -> int:
    print(f"stats: {make(config, places_of(config))}")
    return 0


def make(config: Config, places: Places) -> Path:
    from pirig.datasets.make import make_norm_stats

    return make_norm_stats(config, places)
