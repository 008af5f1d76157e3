"""An arm's parts: kinematics, episodes, recording by keys, and the loop under its rules, on a clock that jumps."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pirig.policies.underway import Underway
from pirig.robots.collect import Recorder
from pirig.robots.door import Reading, open_robot
from pirig.robots.episode import Episode
from pirig.robots.kinematics import Kinematics
from pirig.robots.loop import ControlLoop, PolicyThinker
from pirig.robots.safety import Monitor, SafetyRules, SafetyStop
from pirig.robots.simulated import START_RAD, SimulatedGen3


class Late:
    """A policy whose chunk (targets that drift by `drift_rad` a step from where the arm was) is there `delay_s` later."""

    def __init__(self, clock, delay_s=0.0, drift_rad=0.01, steps=16, joint=0):
        self.clock, self.delay_s, self.drift_rad, self.steps, self.joint = clock, delay_s, drift_rad, steps, joint
        self.asked: list[float] = []
        self.underway: list[Underway | None] = []
        self._chunk = None

    def ask(self, reading: Reading, underway=None) -> None:
        self.asked.append(reading.time_s)
        self.underway.append(underway)
        self._chunk = np.repeat(reading.state[None], self.steps, axis=0)
        self._chunk[:, self.joint] += self.drift_rad * np.arange(1, self.steps + 1)
        self._ready_s = reading.time_s + self.delay_s

    def answer(self):
        if self._chunk is None or self.clock.now_s() < self._ready_s:
            return None
        chunk, self._chunk = self._chunk, None
        return chunk


def loop(robot, thinker, contract, clock, rules=None, stopped=lambda: False, **settings):
    monitor = Monitor(rules or SafetyRules(), robot.kinematics, stopped)
    return ControlLoop(robot, thinker, contract, monitor, clock, **{"execute": 8, "driver_hz": 100, **settings})


def test_kinematics_are_the_public_ones():
    arm = Kinematics()
    assert arm.joint_count == 7
    # straight up: the sum of the links' lengths, as Kinova's manual draws it (1.187 m to the end of the arm)
    np.testing.assert_allclose(arm.tool_position_m(np.zeros(7)), [0, 0, 1.1873], atol=0.03)
    assert arm.limits.low_rad[0] == -np.inf and arm.limits.high_rad[1] == pytest.approx(2.24)
    turned = arm.tool_position_m(np.array([np.pi / 2, 0.35, 0, -1.9, 0, 0.9, 0]))
    usual = arm.tool_position_m(np.array([0, 0.35, 0, -1.9, 0, 0.9, 0]))
    np.testing.assert_allclose(np.hypot(*turned[:2]), np.hypot(*usual[:2]), atol=1e-9)


def test_the_simulated_arm_follows_at_its_own_speed(robot, clock):
    target = np.append(START_RAD + 1.0, 1.0)
    robot.command(target)
    clock.time_s += 0.1
    moved = robot.read().joint_position - START_RAD
    np.testing.assert_allclose(moved, 0.1 * robot.kinematics.limits.velocity_rad_s, atol=1e-6)
    clock.time_s += 10
    np.testing.assert_allclose(robot.read().state, target, atol=1e-6)
    robot.stop()
    robot.command(np.append(START_RAD, 0.0))
    clock.time_s += 10
    np.testing.assert_allclose(robot.read().state, target, atol=1e-6)


def test_an_unknown_arm_and_a_missing_driver_are_said():
    with pytest.raises(ValueError, match="expected one of simulated, kortex"):
        open_robot("gen4", "")
    with pytest.raises(ValueError, match="kortex_api"):
        open_robot("kortex", "10.0.0.1")


def test_an_episode_is_whole_or_not_there(tmp_path, robot):
    episode = Episode("Put the mug away", 10.0)
    reading = robot.read()
    for _ in range(4):
        episode.add(reading.images, reading.state, reading.state)
    assert episode.save(tmp_path, "a") is None and not list(tmp_path.iterdir())
    episode.add(reading.images, reading.state, reading.state)
    path = episode.save(tmp_path, "a")
    assert path.parent.name == "libero_format" and "_libero_" in path.name
    with np.load(path, allow_pickle=False) as kept:
        assert kept["agent_images"].shape == (5, 48, 64, 3) and kept["wrist_images"].dtype == np.uint8
        assert kept["states"].shape == kept["actions"].shape == (5, 8)
        assert str(kept["task"]) == "Put the mug away" and float(kept["collection_frequency"]) == 10.0
    assert [file.name for file in path.parent.iterdir()] == [path.name]


class Script:
    """Keys at given ticks."""

    def __init__(self, keys):
        self.keys, self.tick = keys, -1

    def pressed(self):
        self.tick += 1
        return self.keys.get(self.tick, "")


def test_recording_by_keys(tmp_path, robot, clock):
    said = []
    keys = Script({1: "\n", 12: "\n", 15: "\n", 18: "d", 20: "\n", 23: "r", 33: "\n", 40: "\n", 43: "\n", 45: "q"})
    recorder = Recorder(robot, keys, clock, tmp_path, "Try", 10.0, said.append)
    jitter = recorder.run()
    lengths = [len(np.load(path)["states"]) for path in recorder.saved]
    assert lengths == [10, 9]  # a frame is complete once the next one is there
    assert any("thrown away: 2 frames; begun again" in line for line in said)
    assert any("at least 5 are needed" in line for line in said)
    assert "0 later than a period" in jitter.said()


def test_an_arm_that_nobody_commands_is_told_where_it_went(tmp_path, clock):
    class Moved:
        def __init__(self):
            self.count = 0

        def read(self):
            self.count += 1
            joints = np.full(7, 0.1 * self.count, np.float32)
            return Reading(joints, 0.0, {"base_0_rgb": np.zeros((4, 4, 3), np.uint8)}, clock.now_s())

    recorder = Recorder(Moved(), Script({0: "\n", 8: "\n"}), clock, tmp_path, "Try", 10.0, lambda text: None)
    recorder.run(most=1)
    with np.load(recorder.saved[0]) as kept:
        np.testing.assert_allclose(kept["actions"][:-1], kept["states"][1:])
        assert kept["wrist_images"].size == 0


def test_the_loop_keeps_its_rate_and_thinks_while_it_moves(robot, clock, contract):
    thinker = Late(clock, delay_s=0.35)
    report = loop(robot, thinker, contract, clock).run(6.0, "Put the mug away")
    assert not report.stopped and report.steps == 60 and report.waited == 0
    assert "60 ticks at 10 Hz" in report.lines()[1] and "0 later than a period" in report.lines()[1]
    assert len(report.driver_ticks.late_s) == 600
    assert report.chunks == len(thinker.asked) or report.chunks == len(thinker.asked) - 1
    assert robot.stopped and len(report.frames) == 60


def test_a_chunk_that_comes_late_goes_on_where_the_arm_is(robot, clock, contract):
    """Thinking takes four steps: the first four actions of the new chunk are passed over, and no target jumps."""
    report = loop(robot, Late(clock, delay_s=0.4, drift_rad=0.02), contract, clock).run(4.0)
    targets = np.stack(report.frames.actions)[:, 0]
    assert not report.stopped and np.abs(np.diff(targets)).max() < 0.05


def test_with_rtc_the_policy_is_told_what_is_underway_when_its_chunk_will_be_there(robot, clock, contract):
    """Thinking takes four steps: each question brings the last chunk's actions from that step on, four of them frozen."""
    thinker = Late(clock, delay_s=0.35)
    report = loop(robot, thinker, contract, clock, rtc=True).run(4.0)
    assert thinker.underway[0] is None and set(report.late) == {4}
    assert "chunks came 4 steps late (median), at most 4" in report.lines()[0]
    targets = np.stack(report.frames.actions)
    for number, underway in enumerate(thinker.underway[1:], 1):
        assert underway.delay == 4 and len(underway.actions) == 8
        step = 8 * number
        if step + 4 <= len(targets):
            np.testing.assert_allclose(underway.actions[:4], targets[step : step + 4], atol=1e-6)
    assert loop(robot, plain := Late(clock, delay_s=0.35), contract, clock).run(2.0) and not any(plain.underway)


def test_a_policy_that_is_too_slow_stops_the_arm(robot, clock, contract):
    report = loop(robot, Late(clock, delay_s=3.0), contract, clock).run(8.0)
    assert "answers an observation of" in report.stopped and report.waited > 0 and robot.stopped


def test_a_joint_without_end_goes_on_where_its_count_starts_anew(clock, contract):
    """Joint 3 starts at 3.14: the arm says -3.12 next, and so does the policy; nothing turns back, and nothing stops it."""

    class Counts(SimulatedGen3):
        def read(self):
            reading = super().read()
            return dataclasses.replace(reading, joint_position=(reading.joint_position + np.pi) % (2 * np.pi) - np.pi)

    arm = Counts(clock=clock)
    report = loop(arm, Late(clock, delay_s=0.35, drift_rad=0.02, joint=2), contract, clock).run(3.0)
    targets = np.stack(report.frames.actions)[:, 2]
    assert not report.stopped and report.steps == 30
    assert targets[-1] > np.pi and np.diff(targets).min() >= 0 and np.abs(np.diff(targets)).max() < 0.1
    assert np.abs(np.stack(report.frames.states)[1:, 2] - targets[:-1]).max() < 0.1


def test_changes_per_step_add_up_to_targets(robot, clock, contract):
    class Constant(Late):
        def ask(self, reading, underway=None):
            super().ask(reading)
            self._chunk = np.tile([0.01, 0, 0, 0, 0, 0, 0, 1.0], (16, 1)).astype(np.float32)

    deltas = dataclasses.replace(contract, control_mode="joint_delta")
    report = loop(robot, Constant(clock), deltas, clock).run(2.0)
    targets = np.stack(report.frames.actions)
    np.testing.assert_allclose(np.diff(targets[:, 0]), 0.01, atol=1e-6)
    assert targets[-1, 7] == 1.0


@pytest.mark.parametrize(
    "rules, thinker, said",
    [
        ({}, {"drift_rad": 0.2}, "would turn with"),
        ({"velocity_share": 1.0, "jump_rad": 0.01}, {"drift_rad": 0.05}, "from its target"),
        ({"velocity_share": 1.0, "jump_rad": 9.0}, {"drift_rad": -0.1, "joint": 3, "steps": 64}, "its stops are"),
        ({"box_low_m": (0.1, -0.6, 0.9), "jump_rad": 9.0}, {}, "the tool would go to"),
        ({}, {"drift_rad": float("nan")}, "finite numbers"),
    ],
)
def test_each_rule_stops_the_arm(robot, clock, contract, rules, thinker, said):
    rules = SafetyRules(**{"box_low_m": (-2, -2, -2), "box_high_m": (2, 2, 2), **rules})
    report = loop(robot, Late(clock, **thinker), contract, clock, rules, execute=60).run(6.0)
    assert said in report.stopped and robot.stopped
    before = robot.joints_rad.copy()
    clock.time_s += 5
    robot.read()
    np.testing.assert_array_equal(robot.joints_rad, before)


def test_an_old_reading_and_a_hand_stop_it(robot, clock, contract):
    monitor = Monitor(SafetyRules(), robot.kinematics)
    reading = robot.read()
    with pytest.raises(SafetyStop, match=r"last reading is of 0\.50 s ago"):
        monitor.check(reading.state, reading.state, reading, dt_s=0.1, age_s=0.0, now_s=reading.time_s + 0.5)
    presses = iter([False] * 40)
    report = loop(robot, Late(clock), contract, clock, stopped=lambda: next(presses, True)).run(9.0)
    assert report.stopped == "stopped: stopped by hand" and 0 < report.steps < 10 and robot.stopped


def test_an_arm_that_fails_in_the_middle_is_stopped(robot, clock, contract):
    reads = iter(range(5))

    class Fails(SimulatedGen3):
        def read(self):
            if next(reads, None) is None:
                raise RuntimeError("no answer from the arm")
            return super().read()

    arm = Fails(clock=clock)
    with pytest.raises(RuntimeError, match="no answer"):
        loop(arm, Late(clock), contract, clock).run(5.0)
    assert arm.stopped


def test_a_drivers_rate_is_a_multiple_of_the_policys(robot, clock, contract):
    with pytest.raises(ValueError, match="multiple of the policy's 10 Hz"):
        loop(robot, Late(clock), contract, clock, driver_hz=25)


@pytest.mark.parametrize(
    "change", [{"control_mode": "joint_velocity"}, {"control_mode": "tool_delta"}, {"action_dim": 7}]
)
def test_actions_that_are_no_joints_are_not_taken_for_some(robot, clock, contract, change):
    with pytest.raises(
        ValueError, match=r"joint_position or joint_delta of 8, seven joints and the gripper; nothing is moved"
    ):
        loop(robot, Late(clock), dataclasses.replace(contract, **change), clock)


def test_a_policy_that_raises_is_not_lost(robot):
    def broken(reading, underway):
        raise ValueError("the policy failed")

    thinker = PolicyThinker(broken)
    thinker.ask(robot.read())
    with pytest.raises(ValueError, match="the policy failed"):
        while thinker.answer() is None:
            pass
