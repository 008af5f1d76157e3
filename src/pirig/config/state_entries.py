"""The one table of what a state is made of: the numbers that an entry takes, their units, and who measures them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Owner(StrEnum):
    """Who measures an entry; the values are how a message names it."""

    simulator = "the simulator"
    arm = "a real arm"


@dataclass(frozen=True)
class StateEntry:
    """An entry is the first numbers of an observation's `array`, as many as it has `units`.

    `holds_goal`: a policy that reads it knows the goal, whatever its cameras see.
    """

    array: str
    units: tuple[str, ...]
    owner: Owner
    holds_goal: bool = False

    @property
    def count(self) -> int:
        return len(self.units)


JOINTS = 7 * ("rad",)
STATE_ENTRIES = {
    "qpos8": StateEntry("qpos", (*JOINTS, "m"), Owner.simulator),  # a Panda's joints and one finger
    "qpos9": StateEntry("qpos", (*JOINTS, "m", "m"), Owner.simulator),  # and both
    "goal_pos": StateEntry("goal_pos", 3 * ("m",), Owner.simulator, holds_goal=True),  # world frame
    "tcp_pose": StateEntry("tcp_pose", (*3 * ("m",), *4 * ("quat_wxyz",)), Owner.simulator),  # world frame
    "eef_pos3": StateEntry("eef_pos", 3 * ("m",), Owner.simulator),  # of a gripper's site, world frame
    "eef_axis_angle3": StateEntry("eef_axis_angle", 3 * ("rad",), Owner.simulator),  # its angle is 0 to 2 pi
    "fingers2": StateEntry("fingers", 2 * ("m",), Owner.simulator),  # the second one's is negative
    "joints7": StateEntry("joint_position", JOINTS, Owner.arm),
    "gripper1": StateEntry("gripper_position", ("0 open, 1 closed",), Owner.arm),
}
ROBOTS = ("panda", "panda_wristcam")  # simulated ones whose joints are in this table and whose planner is known


def state_entry(name: str) -> StateEntry:
    """Raises ValueError that lists the known ones."""
    if name not in STATE_ENTRIES:
        raise ValueError(f"unknown state entry {name!r}; expected some of {', '.join(STATE_ENTRIES)}")
    return STATE_ENTRIES[name]


def holds_goal(names: Iterable[str]) -> bool:
    """Entries that this version does not know hold none."""
    return any(name in STATE_ENTRIES and STATE_ENTRIES[name].holds_goal for name in names)


def state_numbers(names: Iterable[str]) -> list[str]:
    """A name for each number: ("joints7", "gripper1") -> joints7[0] ... joints7[6], gripper1[0]; none for an unknown entry."""
    return [f"{name}[{i}]" for name in names if name in STATE_ENTRIES for i in range(STATE_ENTRIES[name].count)]
