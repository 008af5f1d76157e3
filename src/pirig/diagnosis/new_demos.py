"""A few demos that training never saw, for a run that held none out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pirig.config import scenes
from pirig.config.places import places_of
from pirig.config.schema import Config
from pirig.contract import Contract, require_equal
from pirig.datasets.frame_cache import frame_cache
from pirig.datasets.lerobot.read import Dataset
from pirig.datasets.make import make_data_set, make_demos


def make(config: Config, contract: Contract, count: int, root: Path) -> tuple[Dataset, Mapping[str, np.ndarray]]:
    """Plans, renders and converts `count` of them under `root`/data, or finds them there; with their frames at the model's size.

    Raises ValueError where the task has no planner, or the config no longer gives the checkpoint's contract.
    """
    if not config.task.solver:
        raise ValueError(f"task={config.task.name} has no planner; train with train.validation_share=0.05 instead")
    asked = dataclasses.replace(config.demos, path=None, count=count, first_seed=scenes.RANGES[scenes.DIAGNOSIS].start)
    kept = dataclasses.replace(config.dataset, path="")
    here = dataclasses.replace(config, demos=asked, dataset=kept, run=dataclasses.replace(config.run, root=str(root)))
    places = places_of(here)
    require_equal(places.contract, contract, our_name="the run's config", their_name="its checkpoint")
    make_demos(here, places)
    dataset = Dataset(make_data_set(here, places))
    return dataset, frame_cache(dataset, contract.image_px, places.frame_caches)
