"""The sub-goals of `sim/sub_goals.py` in ManiSkill: one table for the six tasks. Of another task that has one thing to move they
are found from its scene; one with several, or none, has ManiSkill's own flags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pirig.sim.maniskill.batches import batched
from pirig.sim.maniskill.labels import objects_of

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
    """The sub-goals of one episode a scene; made after the reset, since lifted and moved are relative to the start."""

    def __init__(self, env_id: str, base: Any):
        self.base, self.parts = base, PARTS.get(env_id)
        self.thing: Any = getattr(base, self.parts.thing) if self.parts else only_thing(base)
        if self.parts is None and self.thing is not None:
            self.parts = Parts(self.thing.name)
        self.start = self._position() if self.parts else None

    def flags(self, info: dict[str, Any]) -> dict[str, np.ndarray]:
        """Which are true now, bool [num_envs] each; {} for a task with no thing, or several."""
        parts = self.parts
        if parts is None:
            return {}
        moved = self._position() - self.start
        held = self._grasped(info) if "grasped" in parts.steps else np.zeros(len(moved), bool)
        now = {
            "reached": lambda: held | (self._distance() < REACHED_M),  # a long thing is held far from its centre
            "grasped": lambda: held,
            "lifted": lambda: moved[:, 2] > LIFTED_M,
            "moved": lambda: np.linalg.norm(moved[:, :2], axis=1) > MOVED_M,
            "aligned": lambda: _aligned(self.base, info),
            "placed": lambda: batched(info[parts.placed]),
        }
        blind = {"reached"} if tool_pose(self.base) is None else set()
        return {name: now[name]() for name in parts.steps if name not in blind}

    def hand_off_m(self) -> np.ndarray | None:
        """How far the tool centre point is from the object, f32 [num_envs, 2] (across, above); None where a task has no thing or
        several, or a robot has no such point."""
        if self.parts is None or tool_pose(self.base) is None:
            return None
        offset = self._offset()
        return np.stack([np.linalg.norm(offset[:, :2], axis=1), offset[:, 2]], axis=1)

    def _position(self) -> np.ndarray:
        return batched(self.thing.pose.p)

    def _grasped(self, info: dict[str, Any]) -> np.ndarray:
        assert self.parts is not None
        return batched(info[self.parts.grasped] if self.parts.grasped else self.base.agent.is_grasping(self.thing))

    def _distance(self) -> np.ndarray:
        return np.linalg.norm(self._offset(), axis=1)

    def _offset(self) -> np.ndarray:
        """From the object's centre (a peg: its axis) to the tool centre point, [num_envs, 3]."""
        thing = batched(self.thing.pose.raw_pose)  # position, quat_wxyz
        offset = batched(tool_pose(self.base).p) - thing[:, :3]
        if hasattr(self.base, "peg_half_sizes"):
            axis, half_m = _x_axis(thing[:, 3:]), batched(self.base.peg_half_sizes)[:, 0]
            offset -= np.clip((offset * axis).sum(1), -half_m, half_m)[:, None] * axis
        return offset


def only_thing(base: Any) -> Any:
    """The one object of a scene that can be moved, where the robot can say whether it holds it; None where there are several."""
    things = [thing for _, thing in objects_of(base)]
    moved = [thing for thing in things if getattr(thing, "px_body_type", "articulated") not in ("static", "kinematic")]
    return moved[0] if len(moved) == 1 and hasattr(base.agent, "is_grasping") and _is_actor(moved[0]) else None


def _is_actor(thing: Any) -> bool:
    return getattr(thing, "px_body_type", "") == "dynamic"


def tool_pose(base: Any) -> Any:
    """Of the tool centre point, which ManiSkill's robots call by one of two names; None for a robot that has none."""
    agent = base.agent
    return agent.tcp_pose if hasattr(agent, "tcp_pose") else getattr(getattr(agent, "tcp", None), "pose", None)


def _aligned(base: Any, info: dict[str, Any]) -> np.ndarray:
    """The peg's head is in front of the hole, within its radius."""
    across = np.abs(batched(info["peg_head_pos_at_hole"])[:, 1:])
    return (across <= batched(base.box_hole_radii)[:, None]).all(1)


def _x_axis(quat_wxyz: np.ndarray) -> np.ndarray:
    w, x, y, z = quat_wxyz.T
    return np.stack([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)], axis=1)
