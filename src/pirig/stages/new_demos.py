"""A few demos that training never saw, for a run that held none out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pirig.config.schema import Config
from pirig.contract import Contract

if TYPE_CHECKING:
    import numpy as np

    from pirig.datasets.lerobot_read import Dataset


def make(config: Config, contract: Contract, count: int, root: Path) -> tuple[Dataset, Mapping[str, np.ndarray]]:
    """Plans, renders and converts `count` of them under `root`/data, or finds them there; with their frames at the model's size.

    Raises ValueError where the task has no planner, or the config no longer gives the checkpoint's contract.
    """
    from pirig.config import scenes
    from pirig.config.places import places_of
    from pirig.contract import require_equal
    from pirig.datasets.frame_cache import frame_cache
    from pirig.datasets.lerobot_read import Dataset
    from pirig.stages import convert, demos

    if not config.task.solver:
        raise ValueError(f"task={config.task.name} has no planner; train with train.validation_share=0.05 instead")
    asked = dataclasses.replace(config.demos, path=None, count=count, first_seed=scenes.RANGES[scenes.DIAGNOSIS].start)
    here = dataclasses.replace(config, demos=asked, run=dataclasses.replace(config.run, root=str(root)))
    places = places_of(here)
    require_equal(places.contract, contract, our_name="the run's config", their_name="its checkpoint")
    demos.make(here, places)
    dataset = Dataset(convert.make(here, places))
    return dataset, frame_cache(dataset, contract.image_px, places.frame_caches)
