"""Demos that begin where the arm was pushed off its way: the planner solves from there, and only that is recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pirig.demos import starts
from pirig.demos.maniskill.planner import RecordingEnv, plan
from pirig.sim.door import State


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


def steps_before_grasp(targets: np.ndarray) -> int:
    """Up to the first step at which an open gripper is told to close; of a plan without one the first half. At least 1."""
    closes = np.flatnonzero((targets[:-1, -1] > 0) & (targets[1:, -1] <= 0))
    return max(1, int(closes[0]) + 1 if len(closes) else len(targets) // 2)
