"""Scenes near demos: what the hand holds goes with it, the rest stays; they follow from their number and from the demos."""

import dataclasses

import numpy as np
import pytest

from pirig.scenes import render
from pirig.scenes.labelled import GROUP, SHARD, Drawn, digest_of
from pirig.scenes.moments import Moments, are_held
from pirig.sim import door
from tests.scenes.painted_simulator import PaintedSimulator

STEPS, PLAIN = 60, (1.0, 0.0, 0.0, 0.0)
QUARTER = (np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5))  # about the z axis


def poses(points_m, turn=PLAIN):
    return np.concatenate([points_m, np.tile(turn, (len(points_m), 1))], axis=1).astype(np.float32)


def grasp_and_carry():
    """The hand comes down to a peg in 20 steps, waits 20, and carries it 0.2 m along x in 20; a box stands elsewhere."""
    down, along = np.linspace(0.1, 0.0, 20), np.linspace(0.0, 0.2, 20)
    rest = np.zeros(20)
    hand = np.stack([np.concatenate([rest, rest, along]), np.zeros(STEPS), np.concatenate([down, rest, rest])], axis=1)
    peg = np.stack([np.concatenate([rest, rest, along]) + 0.01, np.zeros(STEPS), np.zeros(STEPS)], axis=1)
    return poses(hand), {"peg": poses(peg), "box": poses(np.tile([0.5, 0.0, 0.1], (STEPS, 1)))}


def demo(scene=7):
    hand, things = grasp_and_carry()
    joints = np.random.default_rng(scene).normal(0, 0.3, (STEPS, 9)).astype(np.float32)
    return Moments(scene, joints, hand, things, are_held(things, hand))


def test_a_thing_is_held_while_it_moves_with_the_hand():
    held = are_held(*reversed(grasp_and_carry()))
    assert not held["box"].any() and not held["peg"][:30].any() and held["peg"][42:].all()


def test_what_is_pushed_away_is_not_held():
    hand, things = grasp_and_carry()
    pushed = {"peg": poses(2 * things["peg"][:, :3])}
    assert not are_held(pushed, hand)["peg"].any()


def test_what_is_held_goes_and_turns_with_the_hand_and_the_rest_stays():
    moments = demo()
    elsewhere = poses(np.array([[0.3, 0.2, 0.1]]), QUARTER)[0]
    found = moments.poses(50, elsewhere, elsewhere)
    np.testing.assert_allclose(found["box"], moments.things["box"][50], atol=1e-6)
    np.testing.assert_allclose(found["peg"][:3], [0.3, 0.2 + 0.01, 0.1], atol=1e-6)  # 10 mm along the hand's own x
    np.testing.assert_allclose(np.abs(found["peg"][3:]), QUARTER, atol=1e-6)
    np.testing.assert_allclose(moments.poses(5, elsewhere, elsewhere)["peg"], moments.things["peg"][5], atol=1e-6)


def test_a_turned_scene_is_the_same_to_the_hand():
    moments, hand = demo(), poses(np.array([[0.3, 0.2, 0.1]]))[0]
    turned = poses(np.array([[-0.2, 0.3, 0.1]]), QUARTER)[0]  # about the world's own vertical
    found, before = moments.poses(50, hand, turned), moments.poses(50, hand, hand)
    for name, (x, y, z) in {name: before[name][:3] for name in before}.items():
        np.testing.assert_allclose(found[name][:3], [-y, x, z], atol=1e-6)
        np.testing.assert_allclose(np.abs(found[name][3:]), QUARTER, atol=1e-6)


def test_an_arm_whose_first_joint_tilts_the_scene_is_refused():
    tilted = poses(np.array([[0.3, 0.2, 0.1]]), (np.cos(0.05), np.sin(0.05), 0.0, 0.0))[0]
    with pytest.raises(ValueError, match=r"tilts the hand by 0\.100 rad .* choose scenes\.near_demos=0"):
        demo().poses(50, poses(np.array([[0.3, 0.2, 0.1]]))[0], tilted)


def test_near_scenes_are_so_large_a_share_and_come_in_groups_of_one_demo():
    drawn = Drawn(800_000, np.zeros((1, 9), np.float32), 0.03, near_demos=0.5, demos=[demo(7), demo(8)])
    found = [drawn.moment(800_000 + scene) for scene in range(200 * GROUP)]
    groups = [found[at : at + GROUP] for at in range(0, len(found), GROUP)]
    assert all(len({None if one is None else one[0].scene for one in group}) == 1 for group in groups)
    assert 80 <= sum(group[0] is not None for group in groups) <= 120
    near = [one for one in found if one is not None]
    assert {one[0].scene for one in near} == {7, 8} and len({one[1] for one in near}) == STEPS
    for moments, moment, joints, _ in near:
        apart = np.abs(joints - moments.joints[moment])
        assert 0 < apart[:7].max() < 0.15 and apart[7:].max() == 0
    turns = np.array([turned - joints for _, _, joints, turned in near])
    assert not turns[:, 1:].any() and -0.1 <= turns[:, 0].min() < -0.09 and 0.09 < turns[:, 0].max() <= 0.1
    usual = Drawn(800_000, np.zeros((1, 9), np.float32), 0.03)
    assert all(usual.moment(800_000 + scene) is None for scene in range(50))


def test_a_set_is_known_by_the_demos_that_it_is_near_and_without_them_as_before(contract):
    usual = Drawn(800_000, np.zeros((1, 9), np.float32), 0.03)
    near = dataclasses.replace(usual, near_demos=0.5, demos=[demo(7)])
    others = [dataclasses.replace(near, near_demos=0.25), dataclasses.replace(near, demos=[demo(8)])]
    assert digest_of(contract, dataclasses.replace(usual, demos=[demo(7)])) == digest_of(contract, usual)
    assert len({digest_of(contract, drawn) for drawn in (usual, near, *others)}) == 4


def hand_at(joints):
    turn = float(joints[0])
    about = (np.cos(turn / 2), 0.0, 0.0, np.sin(turn / 2))
    return np.array([0.3 * np.cos(turn), 0.3 * np.sin(turn), 0.1, *about], np.float32)


class Furnished(PaintedSimulator):
    """Its hand turns about the world's vertical with its first joint, 0.3 m away from it; it remembers what it was told."""

    def arrange(self, scene, joints, *, rebuild):
        super().arrange(scene, joints, rebuild=rebuild)
        self.told.append([scene, rebuild, None])

    def sense(self):
        return {"tcp_pose": hand_at(self.joints)}

    def put(self, things):
        self.told[-1][2] = things


def test_a_near_scene_is_the_demos_with_its_things_as_the_hand_is_now(contract, tmp_path):
    sim, moments = Furnished(contract), demo()
    sim.told = []
    near = Drawn(800_000, np.zeros((1, 9), np.float32), 0.03, near_demos=0.5, demos=[moments])
    render.render_shard(sim, near, tmp_path, 0)
    expected = [near.moment(800_000 + place) for place in range(SHARD)]
    assert 0 < sum(one is None for one in expected) < SHARD
    told = iter(sim.told)
    for place, one in enumerate(expected):
        scene, rebuild, put = next(told)
        assert rebuild == (place % GROUP == 0)
        if one is None:
            assert (scene, put) == (800_000 + place, None)
            continue
        assert scene == moments.scene
        scene, rebuild, put = next(told)  # and once more, turned
        assert (scene, rebuild) == (moments.scene, False)
        _, moment, joints, turned = one
        hands = hand_at(joints), hand_at(turned)
        for name in ("peg", "box"):
            np.testing.assert_allclose(put[name], moments.poses(moment, *hands)[name], atol=1e-6)
    assert next(told, None) is None


def test_a_simulator_that_cannot_put_things_refuses_scenes_near_demos(contract, tmp_path):
    near = Drawn(800_000, np.zeros((1, 9), np.float32), 0.03, near_demos=0.5, demos=[demo()])
    assert not isinstance(PaintedSimulator(contract), door.FurnishedSimulator)
    with pytest.raises(Exception, match=r"scenes near demos; choose scenes\.near_demos=0"):
        render.make(contract, near, SHARD, 1, tmp_path / "set")
    assert not list(tmp_path.glob("set/shard-*"))
