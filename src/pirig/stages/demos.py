"""`pirig demos`: plan (or take) demonstrations and replay them with the contract's cameras.

What was recorded on a real arm is only checked: it has its pictures already.
"""

from __future__ import annotations

from pathlib import Path

from pirig.config.places import Places, places_of
from pirig.config.schema import Config


def run(config: Config) -> int:
    print(f"demos: {make(config, places_of(config))}")
    return 0


def make(config: Config, places: Places) -> Path:
    from pirig.datasets.make import make_demos

    return make_demos(config, places)
