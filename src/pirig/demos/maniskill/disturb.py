"""Demos that begin where the arm was pushed off its way, and only what it does from there is recorded: before the grasp the
planner solves anew, with something in the hand the arm goes back to its way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pirig.demos import starts
from pirig.demos.maniskill.planner import RecordingEnv, plan
from pirig.demos.maniskill.retreat import straight
from pirig.sim.door import State

CLOSING_STEPS = 8  # after which a gripper that was told to close holds what it closed on
BACK_RAD = 0.015  # of a joint in a step on the way back: slow, since these are the steps that such a demo is for
BACK_SETTLE_STEPS = 1


def plan_after_push(
    solver: Any, begins: Callable[[], RecordingEnv], seed: int, hold_steps: int, push_rad: float
) -> tuple[np.ndarray, State] | None:
    """Joint targets f32 [T, 8] of a plan from where a push left the arm, and the state there; None where none succeeds.

    `begins`: a recorder whose reset begins the scene as demos do. The push comes at a random step before the gripper closes on
    something; every joint's target is off by a normal draw.
    """
    usual = plan(solver, begins(), seed, hold_steps)
    if usual is None:
        return None
    draw = starts.push_draw(seed)
    step = int(draw.integers(1, steps_before_grasp(usual) + 1))
    pushed = usual[step - 1].copy()
    pushed[:-1] += draw.normal(0.0, push_rad, len(pushed) - 1).astype(np.float32)
    recorder = begins()
    recorder.reset(seed=seed)
    for target in (*usual[:step], *[pushed] * starts.PUSH_STEPS):
        recorder.step(target)
    again = RecordingEnv(recorder.env, goes_on=True)
    targets = plan(solver, again, seed, hold_steps)
    return None if targets is None else (targets, again.start)


def back_after_held_push(
    solver: Any, begins: Callable[[], RecordingEnv], seed: int, hold_steps: int, push_rad: float
) -> tuple[np.ndarray, State] | None:
    """As `plan_after_push`, but the push comes at a random step while the gripper holds something. The arm goes on, off its
    way by a draw for each joint whose standard deviation is itself drawn, up to `push_rad`; then straight back to where it was
    pushed and on. So near a goal it runs into what it had missed, and a policy sees how that is mended.

    Raises ValueError where the plan holds nothing.
    """
    usual = plan(solver, begins(), seed, hold_steps)
    if usual is None:
        return None
    held = steps_with_grasp(usual)
    if not held:
        raise ValueError(
            f"demos.disturb_held: the plan of scene {seed} closes no open gripper, or opens it at once, so nothing is held that "
            "could be pushed; leave it out, or choose demos.disturb, which pushes the arm before"
        )
    draw = starts.push_draw(seed, starts.HELD_PUSH_DRAWS)
    step = int(draw.choice(held))
    pushed = usual[step : step + starts.PUSH_STEPS].copy()
    pushed[:, :-1] += (draw.uniform() * push_rad * draw.normal(size=usual.shape[1] - 1)).astype(np.float32)
    recorder = begins()
    recorder.reset(seed=seed)
    for target in (*usual[:step], *pushed):
        recorder.step(target)
    again = RecordingEnv(recorder.env, goes_on=True)
    again.reset()
    back = straight(pushed[-1], usual[step - 1], most_rad=BACK_RAD, settle_steps=BACK_SETTLE_STEPS)
    for target in (*back, *usual[step:]):
        again.step(target)
    return (np.stack(again.actions), again.start) if again.success else None


def steps_with_grasp(targets: np.ndarray) -> range:
    """From where an open gripper that was told to close has closed, to so long before it is told to open, or the end, that a
    push is over by then. Empty where it never closes."""
    told_to_close = targets[:, -1] <= 0
    closes = np.flatnonzero(~told_to_close[:-1] & told_to_close[1:])
    if not len(closes):
        return range(0)
    opens = np.flatnonzero(~told_to_close[closes[0] + 1 :])
    until = closes[0] + 1 + opens[0] if len(opens) else len(targets)
    return range(int(closes[0]) + 1 + CLOSING_STEPS, int(until) - starts.PUSH_STEPS + 1)


def steps_before_grasp(targets: np.ndarray) -> int:
    """Up to the first step at which an open gripper is told to close; of a plan without one the first half. At least 1."""
    closes = np.flatnonzero((targets[:-1, -1] > 0) & (targets[1:, -1] <= 0))
    return max(1, int(closes[0]) + 1 if len(closes) else len(targets) // 2)
