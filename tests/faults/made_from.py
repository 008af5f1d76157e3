"""Faults of identity: something is taken for what it was not made from. Nothing of the good run is changed."""

import dataclasses
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pirig.config.places import places_of
from pirig.datasets import frame_cache, make, make_stats, norm_stats
from pirig.datasets import identity as data_identity
from pirig.demos import door
from pirig.demos.identity import relation_to
from pirig.demos.manifest import episode_files, read_episode, write_episode
from pirig.runs.record import changes
from pirig.sweeps.plan import make_plan
from pirig.sweeps.points import Point
from pirig.training import identity as training_identity
from tests.faults.faults import fault


def changed_task(good, **values):
    """The config with another task of the same name, and where it would find the good run's demos."""
    task = dataclasses.replace(good.config.task, **values)
    return dataclasses.replace(good.config, task=task), places_of(good.config, good.contract)


def asked_demos(config, places):
    return door.asked_of(places.contract, config.task, config.demos, places.demos, places.data)


@fault(
    "demos by another planner taken for these",
    "identity",
    "demos",
    "source: .*solvePushCube.* then, .*solvePullCube.* now",
)
def other_planner(good, pool):
    config, places = changed_task(good, solver="solvePullCube")
    relation_to(asked_demos(config, places), places.demos)


@fault(
    "demos that hold their last pose for another time",
    "identity",
    "demos",
    "held for 0 steps.* then, .*held for 9 steps",
)
def other_hold(good, pool):
    config, places = changed_task(good, hold_steps=9)
    relation_to(asked_demos(config, places), places.demos)


@fault("demos that another version of the planner made", "identity", "demos", "planner: .*mani_skill 2.* now")
def other_version(good, pool):
    places = places_of(good.config, good.contract)
    asked = asked_demos(good.config, places)
    newer = dataclasses.replace(asked, settings={**asked.settings, "planner": "mani_skill 2"})
    relation_to(newer, places.demos)


def copied_data(good, folder):
    """The places of a copy of the run's data, which may be spoilt."""
    places = places_of(good.config, good.contract)
    shutil.copytree(places.data, folder / "data", ignore=shutil.ignore_patterns("frames-*"))
    return dataclasses.replace(
        places, data=folder / "data", norm_stats=folder / "data/lerobot/meta/pirig/norm_stats.json"
    )


@fault("a data set older than its demos", "identity", "train", "episode 0: .* then, .* now.*mv ")
def older_data_set(good, pool):
    with tempfile.TemporaryDirectory() as folder:
        places = copied_data(good, Path(folder))
        file = episode_files(places.demos)[0]
        episode = read_episode(file)
        write_episode(file, episode | {"actions": np.clip(episode["actions"] * 0.9, -1, 1)})
        make.require_current(good.config, places)


@fault(
    "a data set whose rows were edited after it was made",
    "identity",
    "train",
    "changed after it was made: .* then, .* now.*mv ",
)
def edited_rows(good, pool):
    with tempfile.TemporaryDirectory() as folder:
        places = copied_data(good, Path(folder))
        (file,) = places.data_set.glob("data/*/*.parquet")
        table = pq.read_table(file)
        rows = [[0.9 * number for number in row] for row in table["action"].to_pylist()]
        column = pa.array(rows, table.schema.field("action").type)
        pq.write_table(table.set_column(table.column_names.index("action"), "action", column), file)
        make.require_current(good.config, places)


@fault("statistics of another data set under this one", "identity", "train", "data set: 'another.* then, .* now")
def other_statistics(good, pool):
    with tempfile.TemporaryDirectory() as folder:
        places = copied_data(good, Path(folder))
        record = norm_stats.record_of(places.norm_stats)
        made = norm_stats.identity.load(record)
        dataclasses.replace(made, made_from={"data set": "another"}).save(record)
        make_stats.make_norm_stats(good.config, places)


@fault(
    "decoded frames of another data set in a folder of the right name",
    "identity",
    "train",
    "data set: 'another.* then, .* now",
)
def other_frames(good, pool):
    dataset, size = good.open_dataset(), good.contract.image_px
    with tempfile.TemporaryDirectory() as folder:
        asked = frame_cache.asked_of(dataset, size)
        dataclasses.replace(asked, made_from={"data set": "another"}).save(Path(folder) / "identity.json")
        frame_cache._require_same(Path(folder), asked)


@fault(
    "resumed after data and statistics were made again", "identity", "train", "norm stats: .* then, .* now.*run.name"
)
def resumed_on_other_data(good, pool):
    places, dataset = places_of(good.config, good.contract), good.open_dataset()
    stats = {name: dataclasses.replace(entry, mean=entry.mean + 0.1) for name, entry in good.stats.items()}
    training_identity.require_same(training_identity.asked_of(good.config, places, dataset, stats), good.checkpoint)


@fault(
    "a sweep's point that meets a run of other settings",
    "identity",
    "train",
    "train.seed: 0 then, 5 now.*run.mode=overwrite",
)
def other_run_in_a_sweep(good, pool):
    other = dataclasses.replace(good.config, train=dataclasses.replace(good.config.train, seed=5))
    assert changes(good.folder, other)
    make_plan("train", [Point(other, ("train.seed=5",))], lambda folder, stage: None)


@fault("a data set of other labels taken for this one", "identity", "train", "labels: False then, True now")
def other_labels(good, pool):
    places = places_of(good.config, good.contract)
    asked = data_identity.of_demos(places.demos, places.contract, labels=False)
    labelled = dataclasses.replace(asked, settings={**asked.settings, "labels": True})
    data_identity.relation_to(labelled, places, good.config)
