"""Where the scripted expert's demos start, as far as that can be known without LIBERO."""

import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.demos.libero.make import asked_of
from pirig.demos.libero.starts import as_recorded, steps_before_grasp
from pirig.demos.maniskill.make import make as make_in_maniskill

OPEN, CLOSED = np.array([0.0] * 6 + [-1.0]), np.array([0.0] * 6 + [1.0])


def test_the_push_comes_before_the_hand_closes():
    assert steps_before_grasp([OPEN] * 6 + [CLOSED] * 3) == 6
    assert steps_before_grasp([OPEN] * 10) == 5 and steps_before_grasp([CLOSED] * 3) == 1


def test_a_start_is_kept_at_the_precision_of_a_data_set():
    state = as_recorded({"mujoco": np.array([1 / 3])})
    assert state["mujoco"].dtype == np.float32 and state["mujoco"][0] == np.float32(1 / 3)


def test_demos_of_other_starts_or_another_limit_are_others(tmp_path):
    def made(*words):
        config = compose(["task=libero_object", *words])
        return asked_of(contract_of(config), config.task, config.demos, tmp_path, tmp_path)

    usual, spread = made(), made("demos.start_spread_rad=0.1", "demos.disturb=0.4")
    assert spread.settings["source"].endswith("starts spread by 0.1 rad, 40% of them pushed by 0.15 rad")
    assert made("eval.max_steps=400").settings["max_steps"] == 400 and usual.settings["max_steps"] == 280
    assert len({usual.digest, spread.digest, made("eval.max_steps=400").digest}) == 3


def test_a_planner_in_maniskill_has_no_such_limit(tmp_path):
    config = compose(["task=push_cube", "demos.max_steps=100"])
    with pytest.raises(
        ValueError, match=r"demos\.max_steps=100 with task=push_cube: .* limit follows them; leave it out"
    ):
        make_in_maniskill(contract_of(config), config.task, config.demos, tmp_path / "demos", tmp_path)
    assert not (tmp_path / "demos").exists()
