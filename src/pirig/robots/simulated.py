"""A Gen3 that is not there: its joints follow their targets at the arm's own speeds, its pictures show where the tool is."""

from __future__ import annotations

import numpy as np

from pirig.robots.clock import Clock, RealClock
from pirig.robots.door import Reading
from pirig.robots.kinematics import Kinematics

START_RAD = np.array([0.0, 0.35, 3.14, -1.92, 0.0, 0.96, 1.57])  # a pose over a table
ROLES = ("base_0_rgb", "left_wrist_0_rgb")
DOT_PX = 3


class SimulatedGen3:
    def __init__(self, *, clock: Clock | None = None, height_px: int = 48, width_px: int = 64):
        self.kinematics, self.clock = Kinematics(), clock or RealClock()
        self.size = (height_px, width_px)
        self.joints_rad, self.gripper = START_RAD.copy(), 0.0
        self.target = np.append(self.joints_rad, 0.0)
        self.stopped = False
        self._moved_s = self.clock.now_s()

    def read(self) -> Reading:
        self._move()
        images = {role: self._picture(number) for number, role in enumerate(ROLES)}
        return Reading(
            self.joints_rad.astype(np.float32), self.gripper, images, self.clock.now_s(), self.target.astype(np.float32)
        )

    def command(self, target: np.ndarray) -> None:
        self._move()
        if not self.stopped:
            self.target = np.asarray(target, np.float64).copy()

    def stop(self) -> None:
        self._move()
        self.stopped, self.target = True, np.append(self.joints_rad, self.gripper)

    def close(self) -> None:
        self.stop()

    def _move(self) -> None:
        now_s = self.clock.now_s()
        reach = self.kinematics.limits.velocity_rad_s * (now_s - self._moved_s)
        self.joints_rad += np.clip(self.target[:-1] - self.joints_rad, -reach, reach)
        self.gripper += float(
            np.clip(self.target[-1] - self.gripper, -2 * (now_s - self._moved_s), 2 * (now_s - self._moved_s))
        )
        self._moved_s = now_s

    def _picture(self, number: int) -> np.ndarray:
        """u8 [H, W, 3]: a dot at the tool's place from above (0) or the side (1), on a floor of many colours."""
        height, width = self.size
        row, column = np.mgrid[:height, :width]
        picture = np.stack([40 + row, 60 + column, 0 * row + 80 + 20 * number], axis=-1).astype(np.uint8)
        x, y, z = self.kinematics.tool_position_m(self.joints_rad)
        across, up = (y, x) if number == 0 else (x, z)
        at = int((0.9 - up) / 1.8 * height), int((across + 0.9) / 1.8 * width)
        picture[max(0, at[0] - DOT_PX) : at[0] + DOT_PX, max(0, at[1] - DOT_PX) : at[1] + DOT_PX] = (220, 30, 30)
        return picture


def open_robot(address: str, *, clock: Clock | None = None, height_px: int = 48, width_px: int = 64) -> SimulatedGen3:
    """`address` is not read."""
    return SimulatedGen3(clock=clock, height_px=height_px, width_px=width_px)
