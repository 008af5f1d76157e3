"""The contract that a config asks for."""

from __future__ import annotations

import dataclasses

from pirig.config.mixes import PER_SOURCE, configs_of
from pirig.config.schema import CameraEntry, Config
from pirig.config.state_entries import entries_of, state_entry
from pirig.config.suites import chosen_tasks
from pirig.contract import RECORDED, Camera, Contract, Point, TaskScene

HAND_CAMERA = "hand_camera"  # ManiSkill's name of the sensor that a robot with a wrist camera carries
TARGETS = ("joint_position",)  # control modes whose action numbers are targets of joints and grippers


def targets_of(mode: str, layout: str) -> tuple[str, ...]:
    """Which state entries the numbers of an action are targets of, in order; () where they are none."""
    return entries_of(layout.split()) if mode in TARGETS else ()


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
        cameras=_cameras(config),
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
    if config.mix is None:
        return _told(config, "")
    scenes: list[TaskScene] = []
    for name, own in configs_of(config).items():
        recorded = bool(config.mix.sources[name].path)
        cameras = _cameras(own) if recorded and own.camera.entries and _cameras(own) != _cameras(config) else ()
        stats = ("own" if config.mix.norm_stats == PER_SOURCE else "joint") if recorded else ""
        scenes += [dataclasses.replace(scene, cameras=cameras, norm_stats=stats) for scene in _told(own, name)]
    return tuple(scenes)


def _told(config: Config, name: str) -> tuple[TaskScene, ...]:
    """Of one task, or one source of a mix by its name."""
    task = config.task
    if not name and task.tasks:
        names = chosen_tasks(task)
        return tuple(
            TaskScene(f"{task.env_id}/{one}", task.prompt or task.tasks[one], one if len(names) > 1 else "")
            for one in names
        )
    if task.prompts and not task.prompt.strip():
        under = f"{name}/" if name else ""
        return tuple(TaskScene(task.env_id, sentence, under + sentence) for sentence in task.prompts)
    return (TaskScene(task.env_id, task.prompt, name, points=_points(config)),)


def _points(config: Config) -> tuple[Point, ...]:
    """None where nothing is labelled: what was made without them stays what it is."""
    points = sorted(config.task.points.items()) if config.demos.labels else []
    return tuple(Point(label, point.pose, point.part_of) for label, point in points)


def _cameras(config: Config) -> tuple[Camera, ...]:
    return tuple(_camera(entry) for entry in config.camera.entries.values())


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
