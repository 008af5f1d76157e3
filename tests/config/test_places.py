"""Folders are named as at 8868f2d, or data sets and runs that are there would be made again."""

import dataclasses
from pathlib import Path

import pytest

from pirig.config.load import compose
from pirig.config.places import places_of

TRAJECTORY = ["task=pick_cube", "state=joints_goal", "demos.path=/some/trajectory.state.h5"]


@pytest.mark.parametrize(
    ("words", "data", "run"),
    [
        ([], "outputs/data/push_cube-nowrist-n64-s0-835f1d37", "outputs/default/push_cube-pi05-tiny-nowrist-joints-h16-s0"),
        (
            ["task=stack_cube", "camera=wrist", "demos.count=200", "demos.first_seed=7", "run.root=elsewhere",
             "run.experiment=mine", "run.name=one"],
            "elsewhere/data/stack_cube-wrist-n200-s7-2c4d09e7", "elsewhere/mine/one",
        ),
        (
            TRAJECTORY, "outputs/data/pick_cube-nowrist-trajectory.state-655e60f6",
            "outputs/default/pick_cube-pi05-tiny-nowrist-joints_goal-h16-s0",
        ),
    ],
)  # fmt: skip
def test_the_folders_of_a_config_are_those_of_older_versions(words, data, run):
    places = places_of(compose(words))
    assert (places.data, places.run) == (Path(data), Path(run))
    assert (places.demos, places.data_set) == (Path(data, "demos"), Path(data, "lerobot"))
    assert places.norm_stats == Path(data, "lerobot/meta/pirig/norm_stats.json")
    assert (places.checkpoints, places.evaluations) == (Path(run, "checkpoints"), Path(run, "eval"))


def test_places_of_a_checkpoints_contract_are_that_ones_and_nothing_changes_them():
    config = compose([])
    slower = dataclasses.replace(places_of(config).contract, control_hz=10)
    places = places_of(config, slower)
    assert places.contract == slower and places.data.name.endswith(slower.hash[:8])
    assert places.run == places_of(config).run
    with pytest.raises(dataclasses.FrozenInstanceError):
        places.run = Path("elsewhere")
