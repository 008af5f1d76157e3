"""Everything that a scene consists of while it runs: MuJoCo's numbers, and what LIBERO and robosuite keep beside them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pirig.sim.door import State
from pirig.sim.libero.fixtures import Fixtures


def state_of(base: Any, fixtures: Fixtures) -> State:
    """mujoco f64 [1 + nq + nv]: time, positions, velocities; gripper f64 [2]: what it is told now, to which a command comes a
    quarter nearer each step; hand_rotation f64 [9]: what an action that turns nothing keeps; and where there are cabinets and
    stoves, fixtures f64 [7 F]: where they stand, (m, quat_wxyz) each."""
    robot = base.robots[0]
    stand = {"fixtures": fixtures.placed(base.sim.model)} if fixtures.poses else {}
    return stand | {
        "mujoco": np.array(base.sim.get_state().flatten(), np.float64),
        "gripper": np.array(robot.gripper.current_action, np.float64),
        "hand_rotation": np.array(robot.controller.goal_ori, np.float64).ravel(),
    }


def set_state(base: Any, fixtures: Fixtures, state: State) -> None:
    robot = base.robots[0]
    if fixtures.poses:
        fixtures.place(base.sim.model, np.asarray(state["fixtures"], np.float64))
    base.sim.set_state_from_flattened(np.asarray(state["mujoco"], np.float64))
    base.sim.forward()
    robot.gripper.current_action = np.array(state["gripper"], np.float64)
    robot.controller.update(force=True)
    robot.controller.goal_ori = np.array(state["hand_rotation"], np.float64).reshape(3, 3)
    robot.controller.goal_pos = np.array(robot.controller.ee_pos)
