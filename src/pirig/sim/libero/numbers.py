"""LIBERO's numbers as openpi's policies know them."""

from __future__ import annotations

import numpy as np


def axis_angle(quat_xyzw: np.ndarray) -> np.ndarray:
    """f64 [3], rad: the turn's axis times its angle, which is 0 to 2 pi (robosuite's).

    A quaternion with w < 0 is not turned into the other one of the same rotation: policies have learned angles above pi.
    """
    w = float(np.clip(quat_xyzw[3], -1.0, 1.0))
    sine = np.sqrt(1.0 - w * w)
    if np.isclose(sine, 0.0):
        return np.zeros(3)
    return np.asarray(quat_xyzw[:3], np.float64) * 2.0 * np.arccos(w) / sine


def turned(image_u8: np.ndarray, turn_deg: int) -> np.ndarray:
    """A picture [H, W, 3] turned by 0 or 180 degrees in its plane: MuJoCo's first row is the lowest one.

    openpi turns both cameras by 180, so that up is up and left and right are exchanged.
    """
    return np.ascontiguousarray(image_u8[::-1, ::-1]) if turn_deg else image_u8
