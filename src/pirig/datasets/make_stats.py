"""From data sets to their statistics: of what they hold, of what trains in a run, and what they were made from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pirig.config.mixes import configs_of
from pirig.config.places import META, Places
from pirig.config.schema import Config
from pirig.datasets.make import alone, open_data_set, require_data_set
from pirig.files.records import read_record

if TYPE_CHECKING:
    from pirig.datasets.lerobot.read import Dataset
    from pirig.transforms.relative import Relative


def make_norm_stats(config: Config, places: Places) -> Path:
    """The file of the statistics of all episodes, of a mix those of all tasks together, or where each task has its own the
    folder that their data sets lie in; no image is decoded."""
    require_data_set(places)
    for task, own in places.sources.items():
        make_norm_stats(configs_of(config)[task], own)
    if places.per_source:
        return places.data.parent
    with alone(places):
        return _make_norm_stats(config, places)


def _make_norm_stats(config: Config, places: Places) -> Path:
    from pirig.datasets import norm_stats

    asked = norm_stats.asked_of(contents_of(places), folders_of(places), places.contract, relation_of(config))
    norm_stats.make(places.norm_stats, asked, lambda: open_data_set(config, places), relation_of(config))
    return places.norm_stats


def folders_of(places: Places) -> dict[str, Path]:
    """The data sets by name: "data set", or in a mix "data set TASK"."""
    own = {f"data set {task}": of_task.data_set for task, of_task in places.sources.items()}
    return own or {"data set": places.data_set}


def contents_of(places: Places) -> dict[str, str]:
    """The digests that the writer of each data set noted, by the names of `folders_of`. Raises IdentityError where the rows
    of one are others than were written."""
    from pirig.datasets import as_written
    from pirig.datasets.lerobot.write import PROVENANCE

    for own in places.of_tasks:
        as_written.require(own.data_set, own.data)
    notes = {name: folder / META / PROVENANCE for name, folder in folders_of(places).items()}
    return {name: read_record(note, "content_sha256")["content_sha256"][:16] for name, note in notes.items()}


def own_norm_stats(
    config: Config, places: Places, dataset: Dataset, held_out: Sequence[int], *, write: bool
) -> dict[str, Path]:
    """The files of the statistics of the episodes that train, by task where each has its own, else under "": the data
    set's, or the run's where some are held out.

    `write`: of several processes one does.
    """
    from pirig.datasets.joined import part_of
    from pirig.datasets.norm_stats import compute
    from pirig.transforms.normalize import save_norm_stats

    if not held_out:
        return places.statistics
    for task, path in places.own_statistics.items() if write else ():
        part, left_out = part_of(dataset, task, held_out)
        save_norm_stats(path, compute(part, left_out, relation_of(config)))
    return places.own_statistics


def relation_of(config: Config) -> Relative | None:
    """What the actions are relative to in training; None: nothing."""
    from pirig.transforms.relative import Relative

    counts = tuple(config.control.relative_to_state)
    return Relative(counts, config.horizon.steps) if counts else None
