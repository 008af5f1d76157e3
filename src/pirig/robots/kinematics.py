"""Where an arm's tool is, by its URDF: yourdfpy does the arithmetic."""

from __future__ import annotations

import io
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

TOOL = "tool"


@dataclass(frozen=True)
class JointLimits:
    """f64 [7] each, rad and rad/s; a joint without a stop has infinities."""

    low_rad: np.ndarray
    high_rad: np.ndarray
    velocity_rad_s: np.ndarray


class Kinematics:
    """Of the URDF file beside this one, by its name. Raises ValueError where yourdfpy is missing."""

    def __init__(self, name: str = "gen3") -> None:
        try:
            import yourdfpy
        except ImportError as error:
            raise ValueError("the arm's kinematics need yourdfpy: pip install 'pirig[robot]'") from error
        text = resources.files("pirig.robots").joinpath(f"{name}.urdf").read_bytes()
        self._urdf: Any = yourdfpy.URDF.load(io.BytesIO(text), build_scene_graph=True, load_meshes=False)
        joints = [self._urdf.joint_map[joint] for joint in self._urdf.actuated_joint_names]
        self.limits = JointLimits(
            low_rad=np.array([_bound(joint, "lower", -np.inf) for joint in joints]),
            high_rad=np.array([_bound(joint, "upper", np.inf) for joint in joints]),
            velocity_rad_s=np.array([joint.limit.velocity for joint in joints]),
        )

    @property
    def joint_count(self) -> int:
        return len(self.limits.low_rad)

    def tool_position_m(self, joints_rad: np.ndarray) -> np.ndarray:
        """f64 [3], in the frame of the arm's base."""
        self._urdf.update_cfg(np.asarray(joints_rad, np.float64))
        return self._urdf.get_transform(TOOL)[:3, 3].copy()


def _bound(joint: Any, side: str, without: float) -> float:
    value = getattr(joint.limit, side)
    return without if joint.type == "continuous" or value is None else float(value)
