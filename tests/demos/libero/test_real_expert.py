"""The scripted expert in LIBERO itself (`make test-libero`): it places what it grasps, and its actions do so again."""

import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.demos.libero.make import ExpertSource

pytestmark = pytest.mark.libero


@pytest.fixture
def source():
    opened = []

    def open_source(*words: str) -> ExpertSource:
        source = ExpertSource(contract_of(compose([*words, "camera.resolution_px=32"])), labels=True)
        source.open()
        opened.append(source)
        return source

    yield open_source
    for each in opened:
        each.sim.close()


@pytest.mark.parametrize(
    ("suite", "task", "thing"), [("spatial", 4, "akita_black_bowl_1"), ("object", 1, "cream_cheese_1")]
)
def test_what_lies_in_a_drawer_or_flat_is_lifted_to_its_place_and_its_actions_do_so_again(source, suite, task, thing):
    expert = source(f"task=libero_{suite}", f"task.only={task}")
    actions = expert._planned(0)
    assert actions is not None and np.abs(actions).max() <= 1
    last = expert.sim.state()["mujoco"]
    expert.sim.reset(1)
    expert.sim.reset(0)
    heights_m = []
    for action in actions:
        info = expert.sim.step(action)
        heights_m.append(expert.sim.labels()[f"{thing}_position_m"][2])
    assert info.success and max(heights_m) - heights_m[0] > 0.05
    np.testing.assert_array_equal(expert.sim.state()["mujoco"], last)


def test_a_goal_of_a_knob_is_refused(source):
    expert = source("task=libero_10", "task.only=KITCHEN_SCENE3_turn_on_the_stove_and_put_the_moka_pot_on_it")
    with pytest.raises(ValueError, match=r"turnon.*one thing to one other thing"):
        expert.episode(0)
