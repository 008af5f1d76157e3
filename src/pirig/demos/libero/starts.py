"""Where a demo starts that does not start as LIBERO does: the arm's joints spread, or the hand pushed off its way."""

from __future__ import annotations

from typing import Any

import numpy as np

from pirig.config.deltas import UNIT_M
from pirig.demos.libero.expert import CLOSED, OPEN, rotation_vector
from pirig.demos.starts import PUSH_STEPS, push_draw, spread_of
from pirig.sim.door import State
from pirig.sim.libero.env import LiberoEnv
from pirig.sim.libero.settings import CONTROL_MODE

FULL_M, FULL_RAD = UNIT_M[CONTROL_MODE], 0.5  # of an action's 1


def spread(sim: LiberoEnv, scene: int, spread_rad: float) -> State:
    """The scene as a reset leaves it, the arm's joints off by a normal draw."""
    base, robot = sim.base, sim.base.robots[0]
    joints = np.array(robot._ref_joint_pos_indexes)
    base.sim.data.qpos[joints] += spread_of(scene, len(joints), spread_rad)
    base.sim.forward()
    robot.controller.update(force=True)
    robot.controller.reset_goal()
    return as_recorded(sim.state())


def push(sim: LiberoEnv, scene: int, done: list[np.ndarray], start: State | None, push_rad: float) -> State:
    """Where a push leaves the arm that came at a random step of `done`, actions from `start`, before the hand closes.

    The hand is driven for `PUSH_STEPS` to where it would be with every joint off by a normal draw.
    """
    draw = push_draw(scene)
    sim.reset(scene, start)
    for action in done[: int(draw.integers(1, steps_before_grasp(done) + 1))]:
        sim.step(action)
    robot = sim.base.robots[0]
    joints = np.array(robot._ref_joint_pos_indexes)
    position_m, rotation = _hand_with(sim.base, joints, draw.normal(0.0, push_rad, len(joints)))
    for _ in range(PUSH_STEPS):
        robot.controller.update(force=True)
        moves = (position_m - robot.controller.ee_pos) / FULL_M
        turns = rotation_vector(rotation @ robot.controller.ee_ori_mat.T) / FULL_RAD
        sim.step(np.array([*np.clip([*moves, *turns], -1, 1), OPEN], np.float32))
    return as_recorded(sim.state())


def steps_before_grasp(actions: list[np.ndarray]) -> int:
    """Up to the first step at which an open gripper is told to close; without one the first half. At least 1."""
    closes = [step for step, action in enumerate(actions) if action[-1] == CLOSED]
    return max(1, closes[0] if closes else len(actions) // 2)


def as_recorded(state: State) -> State:
    """As a data set keeps it: what is recorded from here starts so too."""
    return {name: part.astype(np.float32) for name, part in state.items()}


def _hand_with(base: Any, joints: np.ndarray, off_rad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The gripper's site, (m [3], rotation [3, 3]), with other joints; nothing is moved."""
    import mujoco

    model, own = base.sim.model._model, base.sim.data._data
    other = mujoco.MjData(model)
    other.qpos[:] = own.qpos
    other.qpos[joints] += off_rad
    mujoco.mj_kinematics(model, other)
    site = base.robots[0].eef_site_id
    return np.array(other.site_xpos[site]), np.array(other.site_xmat[site]).reshape(3, 3)
