"""The contract's cameras in LIBERO: its own ones, moved or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from pirig.contract import Camera

WORLD = 0  # MuJoCo's number of what does not move
UP = (0.0, 0.0, 1.0)


def place_cameras(base: Any, cameras: Sequence[Camera]) -> None:
    """Gives the cameras of a compiled model the angle and the place that a contract has for them.

    Raises ValueError where LIBERO has no such camera, or one is to be moved that the robot carries.
    """
    model = base.sim.model._model
    known = [str(name) for name in base.sim.model.camera_names]
    for camera in cameras:
        if camera.sensor not in known:
            raise ValueError(
                f"camera {camera.sensor!r}: LIBERO has {', '.join(known)}; choose camera=libero, or one of these as its sensor."
            )
        number = base.sim.model.camera_name2id(camera.sensor)
        if camera.fov_rad is not None:
            model.cam_fovy[number] = np.rad2deg(camera.fov_rad)
        if camera.eye_m is None or camera.target_m is None:
            continue
        if model.cam_bodyid[number] != WORLD:
            raise ValueError(
                f"camera {camera.sensor} is carried by the robot; only one that stands still has a place (eye_m)."
            )
        model.cam_pos[number] = camera.eye_m
        model.cam_quat[number] = look_at(np.array(camera.eye_m), np.array(camera.target_m))


def look_at(eye_m: Float[np.ndarray, " 3"], target_m: Float[np.ndarray, " 3"]) -> Float[np.ndarray, " 4"]:
    """Quaternion wxyz of a camera of MuJoCo's, which looks along its -z with y up, whose pictures are level."""
    from mujoco import mju_mat2Quat

    back = eye_m - target_m
    right = np.cross(UP, back)
    if not np.linalg.norm(right):
        raise ValueError(
            f"eye_m {eye_m}, target_m {target_m}: what is right is not known; expected not straight down or up"
        )
    axes = np.stack([right, np.cross(back, right), back])
    quat = np.empty(4)
    mju_mat2Quat(quat, (axes / np.linalg.norm(axes, axis=1, keepdims=True)).T.ravel())
    return quat


def in_picture(base: Any, camera: Camera, points_m: np.ndarray, turn_deg: int) -> np.ndarray:
    """See `ArrangedSimulator.in_picture`. Turned by 180 degrees what was drawn from its lowest row on is upright, left and right
    exchanged; not turned it hangs upside down."""
    model, data = base.sim.model._model, base.sim.data._data
    number = base.sim.model.camera_name2id(camera.sensor)
    seen_m = (points_m - data.cam_xpos[number]) @ data.cam_xmat[number].reshape(3, 3)  # right, up, back
    ahead_m = np.where(seen_m[:, 2:] < 0, -seen_m[:, 2:], np.nan)
    half = np.tan(np.deg2rad(model.cam_fovy[number]) / 2) * np.array([camera.width_px / camera.height_px, 1.0])
    right_up = seen_m[:, :2] / ahead_m / half
    return (-right_up if turn_deg else right_up).astype(np.float32)
