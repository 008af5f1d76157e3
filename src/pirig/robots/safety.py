"""What no command may do. Every target passes here before it reaches the arm; the first one that does not stops it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pirig.robots.door import Reading
from pirig.robots.kinematics import Kinematics


class SafetyStop(RuntimeError):
    """The arm was stopped; the message says by which rule and with which numbers."""


@dataclass(frozen=True)
class SafetyRules:
    """`velocity_share` of the joints' own fastest; `jump_rad`: how far a target may be from where the arm is; the box is that of
    the tool, in the frame of the arm's base; `stale_s`: how old an action's observation, and a reading, may be."""

    velocity_share: float = 0.5
    jump_rad: float = 0.35
    box_low_m: tuple[float, float, float] = (0.1, -0.6, 0.0)
    box_high_m: tuple[float, float, float] = (0.85, 0.6, 1.0)
    stale_s: float = 2.0
    reading_s: float = 0.3
    margin_rad: float = 0.02  # kept from a joint's stop


class Monitor:
    """`stopped_by_hand`: asked at every check, for a key or a button."""

    def __init__(self, rules: SafetyRules, kinematics: Kinematics, stopped_by_hand: Callable[[], bool] = lambda: False):
        self.rules, self.kinematics, self.stopped_by_hand = rules, kinematics, stopped_by_hand

    def check(
        self, target: np.ndarray, before: np.ndarray, reading: Reading, *, dt_s: float, age_s: float, now_s: float
    ) -> None:
        """`target` and `before` (the one of the last step) f32 [8]; `age_s`: of the observation behind it. Raises SafetyStop."""
        joints = self.kinematics.joint_count
        if self.stopped_by_hand():
            raise SafetyStop("stopped by hand")
        if target.shape != (joints + 1,) or not np.isfinite(target).all():
            raise SafetyStop(f"the target is {np.round(target, 3).tolist()}, expected {joints + 1} finite numbers")
        self._ages(age_s, now_s - reading.time_s)
        self._joints(target[:joints])
        self._speed(target[:joints], before[:joints], dt_s)
        self._jump(target[:joints], reading)
        self._box(target[:joints])

    def _ages(self, age_s: float, reading_age_s: float) -> None:
        for what, age, most in (
            ("the action answers an observation of", age_s, self.rules.stale_s),
            ("the arm's last reading is of", reading_age_s, self.rules.reading_s),
        ):
            if age > most:
                raise SafetyStop(f"{what} {age:.2f} s ago, at most {most:g} s are allowed")

    def _joints(self, target: np.ndarray) -> None:
        limits, margin = self.kinematics.limits, self.rules.margin_rad
        outside = (target < limits.low_rad + margin) | (target > limits.high_rad - margin)
        if outside.any():
            joint = int(outside.argmax())
            low, high = limits.low_rad[joint], limits.high_rad[joint]
            raise SafetyStop(
                f"joint {joint + 1} would go to {target[joint]:.3f} rad, its stops are {low:g} and {high:g}"
            )

    def _speed(self, target: np.ndarray, before: np.ndarray, dt_s: float) -> None:
        speed = np.abs(target - before) / dt_s
        allowed = self.kinematics.limits.velocity_rad_s * self.rules.velocity_share
        if (speed > allowed).any():
            joint = int((speed / allowed).argmax())
            raise SafetyStop(
                f"joint {joint + 1} would turn with {speed[joint]:.2f} rad/s, {allowed[joint]:.2f} are allowed"
            )

    def _jump(self, target: np.ndarray, reading: Reading) -> None:
        apart = np.abs(target - reading.joint_position)
        if (apart > self.rules.jump_rad).any():
            joint = int(apart.argmax())
            raise SafetyStop(
                f"joint {joint + 1} is {apart[joint]:.2f} rad from its target, {self.rules.jump_rad:g} are allowed"
            )

    def _box(self, target: np.ndarray) -> None:
        tool = self.kinematics.tool_position_m(target)
        low, high = np.array(self.rules.box_low_m), np.array(self.rules.box_high_m)
        if (tool < low).any() or (tool > high).any():
            where = ", ".join(f"{value:.3f}" for value in tool)
            raise SafetyStop(f"the tool would go to ({where}) m, its box is {low.tolist()} to {high.tolist()}")
