"""The funnel of an episode: how far did it get? One table for the six tasks; another task has ManiSkill's own flags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

FUNNEL = ("reached", "grasped", "lifted", "moved", "aligned", "placed")  # in the order of an episode
REACHED_M = 0.05  # from the tool centre point to the object's centre (a peg: to its axis)
LIFTED_M = 0.02
MOVED_M = 0.02


@dataclass(frozen=True)
class Parts:
    """Where a task keeps its object, and which of ManiSkill's flags mean grasped and placed ("": success)."""

    thing: str
    grasped: str = ""
    placed: str = "success"
    steps: tuple[str, ...] = ("reached", "grasped", "lifted", "placed")


PUSHED = ("reached", "moved", "placed")
PARTS = {
    "PickCube-v1": Parts("cube", "is_grasped", "is_obj_placed"),
    "StackCube-v1": Parts("cubeA", "is_cubeA_grasped", "is_cubeA_on_cubeB"),
    "PlaceSphere-v1": Parts("obj", "is_obj_grasped", "is_obj_on_bin"),
    "PushCube-v1": Parts("obj", steps=PUSHED),
    "PullCube-v1": Parts("obj", steps=PUSHED),
    "PegInsertionSide-v1": Parts("peg", steps=("reached", "grasped", "lifted", "aligned", "placed")),
}


class SubGoals:
    """The sub-goals of one episode; made after the reset, since lifted and moved are relative to the start."""

    def __init__(self, env_id: str, base: Any):
        self.base, self.parts = base, PARTS.get(env_id)
        self.start = self._position() if self.parts else None

    def flags(self, info: dict[str, Any]) -> dict[str, bool]:
        """Which are true now; {} for a task that is not in the table."""
        parts = self.parts
        if parts is None:
            return {}
        moved = self._position() - self.start
        now = {
            "reached": lambda: self._distance() < REACHED_M,
            "grasped": lambda: self._grasped(info),
            "lifted": lambda: moved[2] > LIFTED_M,
            "moved": lambda: np.linalg.norm(moved[:2]) > MOVED_M,
            "aligned": lambda: _aligned(self.base, info),
            "placed": lambda: _flag(info, parts.placed),
        }
        return {name: bool(now[name]()) for name in parts.steps}

    def _position(self) -> np.ndarray:
        return _row(self._thing().pose.p)

    def _thing(self) -> Any:
        assert self.parts is not None
        return getattr(self.base, self.parts.thing)

    def _grasped(self, info: dict[str, Any]) -> bool:
        assert self.parts is not None
        if self.parts.grasped:
            return _flag(info, self.parts.grasped)
        return bool(_row(self.base.agent.is_grasping(self._thing())))

    def _distance(self) -> float:
        thing = _row(self._thing().pose.raw_pose)  # position, quat_wxyz
        offset = _row(self.base.agent.tcp.pose.p) - thing[:3]
        if hasattr(self.base, "peg_half_sizes"):
            axis, half_m = _x_axis(thing[3:]), float(_row(self.base.peg_half_sizes)[0])
            offset -= np.clip(offset @ axis, -half_m, half_m) * axis
        return float(np.linalg.norm(offset))


def ordered(names: set[str]) -> list[str]:
    """The funnel's steps first, in their order, then ManiSkill's own flags by name."""
    return [name for name in FUNNEL if name in names] + sorted(names - set(FUNNEL))


def _aligned(base: Any, info: dict[str, Any]) -> bool:
    """The peg's head is in front of the hole, within its radius."""
    across = np.abs(_row(info["peg_head_pos_at_hole"])[1:])
    return bool((across <= _row(base.box_hole_radii)).all())


def _x_axis(quat_wxyz: np.ndarray) -> np.ndarray:
    w, x, y, z = quat_wxyz
    return np.array([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)])


def _flag(info: dict[str, Any], name: str) -> bool:
    return bool(_row(info[name]))


def _row(value: Any) -> np.ndarray:
    return np.array(value[0].cpu() if hasattr(value, "cpu") else value[0])
