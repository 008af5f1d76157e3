"""The contract's cameras in LIBERO: its own ones, moved or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from pirig.contract import Camera

WORLD = 0  # MuJoCo's number of what does not move
UP = (0.0, 0.0, 1.0)
RAYS = 64  # down and across a picture


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


def in_sight(base: Any, camera: Camera) -> dict[str, float]:
    """What share of a camera's picture shows each thing, by rays into the scene as it stands: nothing is rendered."""
    import mujoco

    model, data = base.sim.model._model, base.sim.data._data
    number = base.sim.model.camera_name2id(camera.sensor)
    middles = ((np.arange(RAYS) + 0.5) / RAYS * 2 - 1) * np.tan(np.deg2rad(model.cam_fovy[number]) / 2)
    across, down = np.meshgrid(middles * camera.width_px / camera.height_px, middles)
    rays = np.stack([across, down, -np.ones_like(across)], axis=-1).reshape(-1, 3)
    rays = rays / np.linalg.norm(rays, axis=1, keepdims=True) @ data.cam_xmat[number].reshape(3, 3).T
    met, apart_m = np.empty(len(rays), np.int32), np.empty(len(rays))
    drawn = np.array(base.sim._render_context_offscreen.vopt.geomgroup, np.uint8)
    normal = {"normal": None} if "normal:" in (mujoco.mj_multiRay.__doc__ or "") else {}  # younger MuJoCos ask for it
    mujoco.mj_multiRay(
        m=model, d=data, pnt=data.cam_xpos[number], vec=rays.ravel(), geomgroup=drawn, flg_static=True, bodyexclude=-1,
        geomid=met, dist=apart_m, nray=len(rays), cutoff=mujoco.mjMAXVAL, **normal,
    )  # fmt: skip
    things = np.where(met < 0, -1, model.body_rootid[model.geom_bodyid[met]])
    return {name: float((things == model.body_rootid[body]).mean()) for name, body in base.obj_body_id.items()}
