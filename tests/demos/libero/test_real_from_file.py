"""A demonstration file in LIBERO itself (`make test-libero`): it starts where it was recorded, cabinets included."""

import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.demos.libero.from_file import FileSource
from pirig.demos.libero.source import ExpertSource
from tests.demos.libero.demonstrations import write

pytestmark = pytest.mark.libero
TASK = 4  # of libero_spatial: the bowl lies in a drawer, whose cabinet no state holds
WORDS = ["task=libero_spatial", f"task.only={TASK}", "camera.resolution_px=32"]


def test_a_recorded_demonstration_is_played_again_from_its_own_scene(tmp_path):
    config = compose(WORDS)
    expert = ExpertSource(contract_of(config), config.demos)
    expert.open()
    actions, _ = expert.planned(3)
    sim, states = expert.sim, []
    sim.reset(3)
    model, cabinet = sim.base.sim.model.get_xml(), sim.state()["fixtures"]
    for action in actions:
        states.append(sim.state()["mujoco"])
        sim.step(action)
    sim.close()
    task = list(config.task.tasks)[TASK]
    longer = np.concatenate([np.stack(actions), np.tile(actions[-1], (5, 1))])  # people go on after the success
    states += states[-1:] * 5
    path = write(tmp_path, task, {8: (longer, np.stack(states), model)}, suite="libero_spatial")
    source = FileSource(contract_of(config), path, config.demos)
    source.open()
    source.sim.reset(8)
    assert np.abs(source.sim.state()["fixtures"] - cabinet).max() > 1e-3  # scene 8's own cabinet stands elsewhere
    episode = source.episode(8)
    assert isinstance(episode, dict) and abs(len(episode["actions"]) - len(actions)) <= 10
    np.testing.assert_allclose(episode["start/fixtures"], cabinet, atol=1e-4)
    np.testing.assert_allclose(episode["start/mujoco"], states[0], atol=1e-4)
    source.sim.close()
