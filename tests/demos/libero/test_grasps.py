"""Where the scripted expert grasps, known without LIBERO: across a short side, at a free side of a rim, the nearer way round."""

import numpy as np
import pytest

from pirig.demos.libero.expert import FULL_TILT, OPEN, action_to, rotation_vector
from pirig.demos.libero.grasps import Boxes, Grasp, Room, grasps_of, nearest, turn_between

NONE = Boxes(np.zeros((0, 3)), np.zeros((0, 3, 3)), np.zeros((0, 3)))
HAND = Grasp(np.array([0.0, 0.0, 0.3]), np.pi / 2)


def turned(angle_rad: float) -> np.ndarray:
    return np.array([[np.cos(angle_rad), -np.sin(angle_rad), 0], [np.sin(angle_rad), np.cos(angle_rad), 0], [0, 0, 1]])


def box(middle_m, half_m, angle_rad: float = 0.0) -> Boxes:
    return Boxes(np.array([middle_m]), turned(angle_rad)[None], np.array([half_m]))


def bowl(lean_rad: float = 0.0) -> Boxes:
    """A ring of twenty boxes, 0.05 m from its middle, its rim 0.05 m high; leaning, it rises towards +x."""
    angles = np.arange(20) * np.pi / 10
    lean = np.array([[np.cos(lean_rad), 0, -np.sin(lean_rad)], [0, 1, 0], [np.sin(lean_rad), 0, np.cos(lean_rad)]])
    middles = np.stack([0.05 * np.cos(angles), 0.05 * np.sin(angles), np.full(20, 0.025)], 1) @ lean.T
    return Boxes(middles, lean @ np.stack([turned(angle) for angle in angles]), np.tile([0.002, 0.008, 0.025], (20, 1)))


@pytest.mark.parametrize("angle_deg", [0, 30, -60, 120])
def test_a_box_is_taken_across_its_short_side_at_its_middle(angle_deg):
    cheese = box([0.1, -0.05, 0.009], [0.041, 0.021, 0.009], np.deg2rad(angle_deg))
    best = grasps_of("cream_cheese_1", cheese, [], HAND)[0]
    assert abs(turn_between(best.axis_rad, np.deg2rad(angle_deg) + np.pi / 2)) < 0.01
    np.testing.assert_allclose(best.at_m, [0.1, -0.05, 0.009], atol=1e-9)


def test_a_square_one_is_taken_without_turning_and_a_tall_one_near_its_top():
    milk = box([0.1, 0.0, 0.1], [0.026, 0.026, 0.1])
    best = grasps_of("milk_1", milk, [], HAND)[0]
    assert abs(turn_between(best.axis_rad, HAND.axis_rad)) < 1e-9
    assert best.at_m[2] == pytest.approx(0.155)


def test_a_bowl_is_taken_at_its_rim_on_the_side_that_is_free():
    alone = grasps_of("akita_black_bowl_1", bowl(), [], Grasp(np.array([0, 0.3, 0.3]), np.pi / 2))[0]
    np.testing.assert_allclose(alone.at_m[:2], [0, 0.05], atol=0.004)
    assert 0 < alone.at_m[2] < 0.05 - 0.02
    wall = box([0.0, 0.1, 0.05], [0.2, 0.01, 0.05])
    beside = grasps_of("akita_black_bowl_1", bowl(), [Room(wall)], Grasp(np.array([0, 0.3, 0.3]), np.pi / 2))[0]
    assert beside.at_m[1] < 0.02


def test_a_bowl_is_taken_where_the_hand_has_room_at_the_place_too():
    """Else the palm meets the cabinet beside the plate, and the bowl is let go beside it."""
    cabinet, hand = box([0.3, 0.1, 0.05], [0.2, 0.01, 0.1]), Grasp(np.array([0, 0.3, 0.3]), np.pi / 2)
    there = Room(cabinet, np.array([0.3, 0.0, 0.015]))
    usual = grasps_of("akita_black_bowl_1", bowl(), [Room(cabinet)], hand)[0]
    best = grasps_of("akita_black_bowl_1", bowl(), [Room(cabinet), there], hand)[0]
    assert usual.at_m[1] > 0.04 and best.at_m[1] < 0.02


def test_a_leaning_bowl_is_taken_where_its_rim_is_level():
    """Where the rim runs up between the fingers they slip off, although the hand would not have to turn."""
    best = grasps_of("akita_black_bowl_1", bowl(lean_rad=0.4), [], HAND)[0]
    assert abs(np.sin(best.axis_rad)) < 0.5, np.rad2deg(best.axis_rad)
    level = grasps_of("akita_black_bowl_1", bowl(), [], HAND)[0]
    assert abs(np.sin(level.axis_rad)) > 0.9


def test_a_flat_box_beside_a_can_is_taken_with_the_palm_turned_past_it():
    cheese, can = box([0.046, -0.103, 0.009], [0.041, 0.021, 0.009]), box([0.1, -0.2, 0.038], [0.031, 0.031, 0.038])
    best = grasps_of("cream_cheese_1", cheese, [Room(can)], HAND)[0]
    assert 50 < np.rad2deg(best.axis_rad) < 88
    assert np.rad2deg(grasps_of("cream_cheese_1", cheese, [], HAND)[0].axis_rad) == pytest.approx(90)


def test_the_nearest_of_grasps_at_one_point_is_that_of_the_same_axis():
    found = grasps_of("cream_cheese_1", box([0, 0, 0.009], [0.041, 0.021, 0.009]), [], HAND)
    assert nearest(found[::-1], found[0]) is found[0] and nearest(found, found[5]) is found[5]


def test_distance_is_to_the_nearest_box():
    boxes = box([0.0, 0.0, 0.0], [0.1, 0.02, 0.02], np.pi / 2)
    points = np.array([[0.05, 0.05, 0.0], [0.0, 0.09, 0.0], [0.0, 0.1, 0.06]])
    np.testing.assert_allclose(boxes.distance_m(points), [0.03, 0, 0.04], atol=1e-12)
    np.testing.assert_array_equal(NONE.distance_m(points), np.full(3, np.inf))


@pytest.mark.parametrize(("one", "other", "turn"), [(90, 100, 10), (90, 10, -80), (90, 350, 80), (170, 10, 20)])
def test_a_hand_is_the_same_half_a_turn_on(one, other, turn):
    assert turn_between(np.deg2rad(one), np.deg2rad(other)) == pytest.approx(np.deg2rad(turn))


def test_the_turn_that_is_left_is_an_axis_and_an_angle():
    np.testing.assert_allclose(rotation_vector(turned(0.7)), [0, 0, 0.7], atol=1e-12)
    np.testing.assert_allclose(rotation_vector(turned(2.5).T), [0, 0, -2.5], atol=1e-12)
    np.testing.assert_array_equal(rotation_vector(np.eye(3)), np.zeros(3))


def test_a_hand_is_turned_about_its_own_axis_at_full_speed_and_set_upright_slowly():
    action = action_to(np.array([1.0, -1.0, 0.005]), np.array([0.4, -0.4, 0.4]), OPEN)
    np.testing.assert_allclose(action, [1, -1, 0.1, FULL_TILT, -FULL_TILT, 0.8, OPEN], atol=1e-6)
