"""How a run is entered: its process given its memory, asked whether it may begin, then locked, then written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pirig.config.places import Places
from pirig.config.schema import Config, Mode
from pirig.runs.lock import held
from pirig.runs.progress import has_stats, newest_checkpoint
from pirig.runs.record import open_run, recorded, require_same_settings


def set_memory(config: Config) -> None:
    """Before a stage makes the first array: XLA reads its variables then."""
    if config.train.memory_fraction:
        os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] = str(config.train.memory_fraction)
    if not config.train.preallocate:
        os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    if config.train.allocator != "outside":
        os.environ["XLA_PYTHON_CLIENT_ALLOCATOR"] = config.train.allocator


@contextmanager
def entered(config: Config, places: Places, *, first: bool) -> Iterator[None]:
    """The run is this training's alone, from before its folder is written; how the block ended is in its status.

    Of several processes the `first` one opens it. Raises ValueError before anything is written: see `require_startable`.
    """
    require_startable(config, places)
    if not first:
        yield
        return
    with held(places.run):
        open_run(config, places)
        with recorded(places.run, "train"):
            yield


def require_startable(config: Config, places: Places, *, with_data: bool = False) -> None:
    """Nothing is written. Raises ValueError where the data that lies there is not what the config asks for, or where the run
    to be resumed was made from something else. `with_data`: demos and data set are completed first."""
    from pirig.datasets import make as data

    checkpoint = newest_checkpoint(places.run) if config.run.mode == Mode.resume else None
    if checkpoint is not None:
        require_same_settings(places.run, config)
    data.require_current(config, places, may_grow=with_data and checkpoint is None)
    if checkpoint is None or not data.are_there(places) or not has_stats(places):
        return
    from pirig.training import identity

    dataset = data.open_data_set(config, places)
    stats = identity.stats_in_use(config, places, dataset)
    identity.require_same(identity.asked_of(config, places, dataset, stats), checkpoint)
