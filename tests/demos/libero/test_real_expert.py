"""The scripted expert in LIBERO itself (`make test-libero`): it places what it grasps, and its actions do so again."""

import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.demos.collect import TooLong
from pirig.demos.libero.source import AFTER_STEPS, ExpertSource

pytestmark = pytest.mark.libero


@pytest.fixture
def source():
    opened = []

    def open_source(*words: str) -> ExpertSource:
        config = compose([*words, "camera.resolution_px=32", "demos.labels=true"])
        source = ExpertSource(contract_of(config), config.demos)
        source.open()
        opened.append(source)
        return source

    yield open_source
    for each in opened:
        each.sim.close()


@pytest.mark.parametrize(
    ("suite", "task", "thing"),
    [("spatial", 4, "akita_black_bowl_1"), ("object", 1, "cream_cheese_1"), ("goal", 8, "akita_black_bowl_1")],
)
def test_what_lies_in_a_drawer_or_flat_is_lifted_to_its_place_and_its_actions_do_so_again(source, suite, task, thing):
    expert = source(f"task=libero_{suite}", f"task.only={task}")
    actions, start = expert.planned(0)
    assert start is None and np.abs(actions).max() <= 1 and len(actions) <= expert.demos.max_steps
    heights_m, succeeded, last = played(expert.sim, actions, f"{thing}_position_m")
    assert any(succeeded) and not any(succeeded[: -AFTER_STEPS - 1]) and max(heights_m) - heights_m[0] > 0.05
    expert.sim.reset(1)
    again = played(expert.sim, actions, f"{thing}_position_m")
    assert again[1] == succeeded
    np.testing.assert_array_equal(again[2], last)


def played(sim, actions, position):
    """Of scene 0: (the thing's heights in m, whether each step succeeded, all numbers at the end)."""
    sim.reset(0)
    heights_m, succeeded = [], []
    for action in actions:
        succeeded.append(sim.step(action).success)
        heights_m.append(sim.labels()[position][2])
    return heights_m, succeeded, sim.state()["mujoco"]


def test_a_goal_of_a_knob_is_refused(source):
    expert = source("task=libero_10", "task.only=KITCHEN_SCENE3_turn_on_the_stove_and_put_the_moka_pot_on_it")
    with pytest.raises(ValueError, match=r"turnon.*one thing to one other thing"):
        expert.episode(0)


def test_a_start_that_is_spread_and_pushed_is_recorded_and_its_actions_succeed_from_there(source):
    words = ["task=libero_object", "task.only=7", "demos.start_spread_rad=0.1", "demos.disturb=1"]
    expert = source(*words)
    episode = expert.episode(1)
    assert isinstance(episode, dict)
    start = {name.removeprefix("start/"): part for name, part in episode.items() if name.startswith("start/")}
    assert set(start) == {"mujoco", "gripper", "hand_rotation"}  # and no cabinet stands there
    sim = expert.sim
    sim.reset(1)
    assert np.abs(sim.sense()["qpos"][:7] - episode["qpos"][0][:7]).max() > 0.05
    sim.reset(1, start)
    np.testing.assert_allclose(sim.sense()["qpos"], episode["qpos"][0], atol=1e-6)
    np.testing.assert_array_equal(sim.observe().images["base_0_rgb"], episode["image/base_0_rgb"][0])
    succeeded = [sim.step(action).success for action in episode["actions"]]
    assert succeeded.index(True) == len(succeeded) - AFTER_STEPS - 1
    sim.reset(1)
    assert not any(sim.step(action).success for action in episode["actions"])


def test_a_success_that_takes_too_long_is_not_rendered_and_its_steps_are_told(source):
    expert = source("task=libero_object", "task.only=7", "demos.max_steps=100")
    found = expert.episode(0)
    assert isinstance(found, TooLong) and found.steps > 100
