"""robosuite's control step, bit for bit, without what it does twice or for nobody.

Of each of the 25 substeps robosuite computes positions, collisions, velocities and forces three times (`forward` in its own loop,
again in the controller, again in `step`), asks four times for one Jacobian, and goes through all its observables. Here each is
done once; the controller's equations stay robosuite's own.
"""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

COMPARED = "3.17.0"  # the MuJoCo with which both gave the same bits; older ones keep more between calls of `forward`


class Stepper:
    """Of one compiled model, whose robot is one arm with OSC_POSE and a gripper."""

    def __init__(self, base: Any):
        self.base, self.robot = base, base.robots[0]
        self.model, self.data = base.sim.model._model, base.sim.data._data
        assert self.model.opt.integrator != mujoco.mjtIntegrator.mjINT_RK4, "mj_step2 has no such integrator"
        self.substeps = int(base.control_timestep / base.model_timestep)
        self.site = base.sim.model.site_name2id(self.robot.controller.eef_name)
        self.limits = [np.array(limit) for limit in self.robot.torque_limits]
        self.arm, self.fingers = self.robot._ref_joint_actuator_indexes, self.robot._ref_joint_gripper_actuator_indexes
        low, high = self.model.actuator_ctrlrange[self.fingers].T
        self.finger_middle, self.finger_half = 0.5 * (high + low), 0.5 * (high - low)
        self.jacobian = np.zeros((6, self.model.nv))
        self.inertia = np.zeros((self.model.nv, self.model.nv))

    def step(self, action: np.ndarray) -> bool:
        """`action` f64 [7]; whether the goal is reached then."""
        controller, gripper = self.robot.controller, self.robot.gripper
        for substep in range(self.substeps):
            mujoco.mj_step1(self.model, self.data)
            self._update(controller)
            if substep == 0:
                controller.set_goal(action[:-1])
            torques = np.clip(controller.run_controller(), *self.limits)
            self.data.ctrl[self.fingers] = self.finger_middle + self.finger_half * gripper.format_action(action[-1:])
            self.data.ctrl[self.arm] = torques
            mujoco.mj_step2(self.model, self.data)
        self.base._post_process()
        return bool(self.base._check_success())

    def _update(self, controller: Any) -> None:
        """What its `update` reads, after which it does nothing."""
        data, moved = self.data, controller.qvel_index
        mujoco.mj_jacSite(self.model, data, self.jacobian[:3], self.jacobian[3:], self.site)
        mujoco.mj_fullM(self.model, data, self.inertia)
        controller.ee_pos = np.array(data.site_xpos[self.site])
        controller.ee_ori_mat = np.array(data.site_xmat[self.site]).reshape(3, 3)
        controller.ee_pos_vel = np.dot(self.jacobian[:3], data.qvel)
        controller.ee_ori_vel = np.dot(self.jacobian[3:], data.qvel)
        controller.joint_pos, controller.joint_vel = data.qpos[controller.qpos_index], data.qvel[moved]
        controller.J_pos, controller.J_ori = self.jacobian[:3][:, moved], self.jacobian[3:][:, moved]
        controller.J_full = np.vstack([controller.J_pos, controller.J_ori])
        controller.mass_matrix = self.inertia[moved, :][:, moved]
        controller.new_update = False
