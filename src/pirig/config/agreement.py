"""The contract that a config asks for."""

from __future__ import annotations

from collections.abc import Sequence

from pirig.config.schema import CameraEntry, Config
from pirig.contract import MANISKILL, RECORDED, Camera, Contract, TaskScene

STATE_DIMS = {"qpos8": 8, "qpos9": 9, "goal_pos": 3, "tcp_pose": 7, "joints7": 7, "gripper1": 1}
ARM_ENTRIES = ("joints7", "gripper1")  # measured on a real arm; the others are the simulator's
TARGETS = {
    "joint_position": ("joints7", "gripper1")
}  # control modes whose action numbers are targets of these, in order


def contract_of(config: Config) -> Contract:
    """One value for data, policy and simulator. Raises ValueError on an unknown state entry."""
    unknown = [name for name in config.state.entries if name not in STATE_DIMS]
    if unknown:
        raise ValueError(
            f"state={config.state.name}: unknown entry {unknown[0]!r}; expected some of {', '.join(STATE_DIMS)}"
        )
    control = config.control
    return Contract(
        scenes=(TaskScene(config.task.env_id, config.task.prompt),),
        robot_uid=config.robot.wrist_uid if config.camera.wrist else config.robot.uid,
        control_mode=control.mode,
        control_hz=control.control_hz,
        sim_hz=control.sim_hz,
        sim_backend=control.backend,
        shader=control.shader,
        cameras=tuple(_camera(entry) for entry in config.camera.entries.values()),
        state=tuple(config.state.entries),
        state_dim=sum(STATE_DIMS[name] for name in config.state.entries),
        action_dim=control.action_dim,
        action_layout=control.layout,
        gripper_open=control.gripper_open,
        image_px=config.size.image_px,
        fps=control.control_hz,
        goal_shown=config.camera.show_goal,
        angle_center_rad=tuple(config.state.angle_center_rad),
        simulator=MANISKILL if config.robot.simulated else RECORDED,
    )


def _camera(entry: CameraEntry) -> Camera:
    return Camera(
        role=entry.role,
        sensor=entry.sensor,
        width_px=entry.width_px,
        height_px=entry.height_px,
        fov_rad=entry.fov_rad,
        eye_m=tuple(entry.eye_m) if entry.eye_m else None,  # type: ignore[arg-type]
        target_m=tuple(entry.target_m) if entry.target_m else None,  # type: ignore[arg-type]
    )


def state_numbers(entries: Sequence[str]) -> list[str]:
    """A name for each number: ("joints7", "gripper1") -> joints7[0] ... joints7[6], gripper1[0]."""
    return [f"{name}[{number}]" for name in entries for number in range(STATE_DIMS.get(name, 0))]
