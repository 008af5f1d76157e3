"""Labelled scenes of a suite: a set of each of its tasks, with that task's own labels."""

import dataclasses

import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.datasets import make
from pirig.scenes.labelled import SHARD
from pirig.sim import door
from pirig.stages import scenes
from tests.scenes.painted_simulator import SIZE_PX


@pytest.fixture
def config(monkeypatch, tmp_path):
    monkeypatch.setattr(door, "IMPLEMENTATIONS", dict(door.IMPLEMENTATIONS))
    door.register("painted", "tests.scenes.painted_simulator:Painted")
    monkeypatch.setattr(make, "joints_of_demos", lambda places: np.zeros((2, 9), np.float32))
    words = [
        "task=libero_object",
        "task.simulator=painted",
        f"camera.resolution_px={SIZE_PX}",
        f"size.image_px={SIZE_PX}",
    ]
    return compose([*words, "size.patch_px=4", "scenes.workers=1", f"run.root={tmp_path}"])


def test_every_task_has_a_set_of_its_share(config):
    config = dataclasses.replace(config, scenes=dataclasses.replace(config.scenes, count=15))
    contract = contract_of(config)
    sets = scenes.make(config, places_of(config))
    assert list(sets) == [scene.task for scene in contract.scenes] and {one.count for one in sets.values()} == {2}
    assert len({one.folder for one in sets.values()}) == 10
    assert [one.record["env_id"] for one in sets.values()] == [scene.env_id for scene in contract.scenes]
    assert all(len(one.images["base_0_rgb"][0]) == SHARD for one in sets.values())
    again = scenes.make(config, places_of(config))
    assert [one.content() for one in again.values()] == [one.content() for one in sets.values()]
