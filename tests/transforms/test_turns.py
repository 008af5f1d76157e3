"""Angles of joints that turn without end: one position, one number, whoever counted it."""

import numpy as np
import pytest

from pirig.transforms.state import build_state, within_turn


@pytest.mark.parametrize("center", [0.0, 2.5, -1.0])
def test_every_name_of_a_position_becomes_the_same(center):
    angles = np.linspace(center - 3.1, center + 3.1, 50)[:, None]
    for turns in (-2, -1, 0, 1):
        np.testing.assert_allclose(within_turn(angles + turns * 2 * np.pi, [center]), angles, atol=1e-9)
    assert within_turn(angles, []) is angles


def test_an_observation_of_the_arm_gets_the_names_of_the_data_set_and_the_gripper_stays():
    joints = np.array([350.0, 10, 180, 90, 270, 0, 359]) * np.pi / 180
    source = {"joint_position": joints, "gripper_position": np.array([1.0])}
    state = build_state(("joints7", "gripper1"), source, [0, 0, 3.1, 0, 0, 0, 0])
    np.testing.assert_allclose(state, [*np.deg2rad([-10, 10, 180, 90, -90, 0, -1]), 1.0], atol=1e-6)
    with pytest.raises(ValueError, match="'joint_position', which this observation lacks"):
        build_state(("joints7",), {"gripper_position": np.array([1.0])})
