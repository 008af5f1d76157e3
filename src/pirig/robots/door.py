"""The door to an arm: what recording and the control loop ask of it. One line in `ROBOTS` for each driver."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pirig.config.names import near
from pirig.sim.door import Observation


@dataclass(frozen=True)
class Reading:
    """What the arm measures now: `joint_position` f32 [7] in rad, `gripper_position` 0 open to 1 closed, pictures u8 [H, W, 3]
    by the model's role, `time_s` of a monotonic clock.

    `commanded`: f32 [8] that somebody (a leader arm, a joystick) told it last; None where nobody says.
    """

    joint_position: np.ndarray
    gripper_position: float
    images: dict[str, np.ndarray]
    time_s: float
    commanded: np.ndarray | None = None

    @property
    def state(self) -> np.ndarray:
        """f32 [8]: joints and gripper."""
        return np.append(self.joint_position, self.gripper_position).astype(np.float32)

    @property
    def observation(self) -> Observation:
        gripper = np.array([self.gripper_position], np.float32)
        numbers = {"joint_position": self.joint_position.astype(np.float32), "gripper_position": gripper}
        return Observation(self.images, numbers)


class Robot(Protocol):
    def read(self) -> Reading:
        """Returns within a driver's period."""
        ...

    def command(self, target: np.ndarray) -> None:
        """Joint positions in rad and the gripper, f32 [8]: where to be next. Does not wait."""
        ...

    def stop(self) -> None:
        """Holds the arm where it is. May be called twice, from any thread, and after a failed `read`."""
        ...

    def close(self) -> None: ...


ROBOTS = {"simulated": "pirig.robots.simulated:open_robot", "kortex": "pirig.robots.kortex:open_robot"}


def require_robot(name: str) -> None:
    """Raises ValueError where nobody knows the name."""
    if name not in ROBOTS:
        nearest = near(name, ROBOTS)
        meant = f"; did you mean {nearest}?" if nearest else ""
        raise ValueError(f"robot {name!r}: expected one of {', '.join(ROBOTS)} (src/pirig/robots/door.py){meant}")


def open_robot(name: str, address: str, **settings: Any) -> Robot:
    """`address`: of the arm, as its driver reads it. Raises ValueError where nobody knows the name or its driver is missing."""
    require_robot(name)
    module, function = ROBOTS[name].split(":")
    return getattr(importlib.import_module(module), function)(address, **settings)
