"""The contract that a config asks for."""

from __future__ import annotations

from pirig.config.mixes import configs_of
from pirig.config.schema import CameraEntry, Config
from pirig.config.state_entries import state_entry
from pirig.config.suites import chosen_tasks
from pirig.contract import RECORDED, Camera, Contract, TaskScene

HAND_CAMERA = "hand_camera"  # ManiSkill's name of the sensor that a robot with a wrist camera carries
TARGETS = {
    "joint_position": ("joints7", "gripper1")
}  # control modes whose action numbers are targets of these, in order


def contract_of(config: Config) -> Contract:
    """One value for data, policy and simulator. Raises ValueError on an unknown state entry."""
    control = config.control
    return Contract(
        scenes=_scenes(config),
        robot_uid=config.robot.wrist_uid if _has_hand_camera(config) else config.robot.uid,
        control_mode=control.mode,
        control_hz=control.control_hz,
        sim_hz=control.sim_hz,
        sim_backend=control.backend,
        shader=control.shader,
        cameras=tuple(_camera(entry) for entry in config.camera.entries.values()),
        state=tuple(config.state.entries),
        state_dim=sum(state_entry(name).count for name in config.state.entries),
        action_dim=control.action_dim,
        action_layout=control.layout,
        gripper_open=control.gripper_open,
        image_px=config.size.image_px,
        fps=control.control_hz,
        goal_shown=config.camera.show_goal,
        angle_center_rad=tuple(config.state.angle_center_rad),
        resize=config.size.resize,
        simulator=config.task.simulator if config.robot.simulated else RECORDED,
        settings=tuple(sorted(config.task.settings.items())),
    )


def _scenes(config: Config) -> tuple[TaskScene, ...]:
    """One nameless scene, or one for each task of a mix or a suite and for each sentence of a recording that has several."""
    task = config.task
    if config.mix is None and task.tasks:
        names = chosen_tasks(task)
        return tuple(
            TaskScene(f"{task.env_id}/{name}", task.prompt or task.tasks[name], name if len(names) > 1 else "")
            for name in names
        )
    if config.mix is None and task.prompts and not task.prompt.strip():
        return tuple(TaskScene(task.env_id, sentence, sentence) for sentence in task.prompts)
    return tuple(
        TaskScene(task_config.task.env_id, task_config.task.prompt, name)
        for name, task_config in configs_of(config).items()
    )


def _has_hand_camera(config: Config) -> bool:
    return any(entry.sensor == HAND_CAMERA for entry in config.camera.entries.values())


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
