"""The contract's cameras in ManiSkill: its own sensors, moved or not, and new ones that a contract gives a place."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from pirig.contract import Camera, Contract
from pirig.sim.maniskill.batches import batched


def settings_of(cameras: Sequence[Camera]) -> dict[str, dict[str, Any]]:
    """By sensor, what replaces ManiSkill's own settings."""
    return {camera.sensor: _settings(camera) for camera in cameras}


def _settings(camera: Camera) -> dict[str, Any]:
    from mani_skill.utils import sapien_utils

    settings: dict[str, Any] = {"width": camera.width_px, "height": camera.height_px}
    if camera.fov_rad is not None:
        settings["fov"] = camera.fov_rad
    if camera.eye_m is not None:
        settings["pose"] = sapien_utils.look_at(list(camera.eye_m), list(camera.target_m or (0.0, 0.0, 0.0)))
    return settings


def task_with(env_id: str, cameras: Sequence[Camera]) -> str:
    """The id of this task with those of the cameras that it lacks. One with `eye_m`, `target_m` and `fov_rad` can be added."""
    placed = tuple(camera for camera in cameras if camera.eye_m and camera.target_m and camera.fov_rad)
    return _registered(env_id, placed) if placed else env_id


@functools.cache
def _registered(env_id: str, placed: tuple[Camera, ...]) -> str:
    """A task of ours that differs from ManiSkill's in its cameras alone, since ManiSkill takes no new ones as an argument."""
    from mani_skill.sensors.camera import CameraConfig, parse_camera_configs
    from mani_skill.utils.registration import REGISTERED_ENVS, register_env

    spec = REGISTERED_ENVS[env_id]
    settings = settings_of(placed)

    class WithCameras(spec.cls):  # type: ignore[misc, name-defined]
        @property
        def _default_sensor_configs(self) -> list[CameraConfig]:
            theirs = parse_camera_configs(super()._default_sensor_configs)
            known = {*theirs, *parse_camera_configs(self.agent._sensor_configs)}
            new = [CameraConfig(sensor, **keys) for sensor, keys in settings.items() if sensor not in known]
            return [*theirs.values(), *new]

    ours = f"pirig/{hashlib.sha256(repr(placed).encode()).hexdigest()[:8]}-{env_id}"
    register_env(ours, spec.max_episode_steps, asset_download_ids=spec.asset_download_ids, **spec.default_kwargs)(
        WithCameras
    )
    return ours


def in_picture(base: Any, camera: Camera, points_m: np.ndarray) -> np.ndarray:
    """See `ArrangedSimulator.in_picture`; of a base with one scene."""
    lens = base.scene.sensors[camera.sensor].camera
    world_to_camera, to_pixels = batched(lens.get_extrinsic_matrix())[0], batched(lens.get_intrinsic_matrix())[0]
    seen_m = points_m @ world_to_camera[:, :3].T + world_to_camera[:, 3]  # x right, y down, z ahead
    pixels = seen_m @ to_pixels.T / np.where(seen_m[:, 2:] > 0, seen_m[:, 2:], np.nan)
    return (pixels[:, :2] / (camera.width_px, camera.height_px) * 2 - 1).astype(np.float32)


def raise_if_sensor(contract: Contract, error: AttributeError) -> None:
    """ManiSkill takes a sensor that it does not know for an attribute of all sensors; say what really is wrong."""
    for camera in contract.cameras:
        if str(error).startswith(camera.sensor):
            raise ValueError(
                f"camera {camera.role}: {contract.env_id} with robot {contract.robot_uid} has no sensor {camera.sensor!r} "
                "(base_camera sees the table; hand_camera needs robot panda_wristcam); choose another camera=..., or give "
                "a new sensor its place: eye_m, target_m and fov_rad of its entry."
            ) from error
