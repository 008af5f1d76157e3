"""The one table of what a state is made of: the numbers that an entry takes, their units, and who measures them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Owner(StrEnum):
    """Who measures an entry; the values are how a message names it."""

    simulator = "the simulator"
    arm = "a real arm"


@dataclass(frozen=True)
class StateEntry:
    """An entry is numbers of an observation's `array` from `first` on, as many as it has `units`.

    `holds_goal`: a policy that reads it knows the goal, whatever its cameras see.
    """

    array: str
    units: tuple[str, ...]
    owner: Owner
    holds_goal: bool = False
    first: int = 0

    @property
    def count(self) -> int:
        return len(self.units)


class _Entries(dict[str, StateEntry]):
    """Also holds a real arm's entries of any width: joints6, gripper2, hand2, tool7, numbers3 (`OF_AN_ARM`)."""

    def __missing__(self, name: str) -> StateEntry:
        match = re.fullmatch(rf"({'|'.join(OF_AN_ARM)})([1-9]\d?)", name)
        if match is None:
            raise KeyError(name)
        array, unit = OF_AN_ARM[match[1]]
        return StateEntry(array, int(match[2]) * (unit,), Owner.arm)

    def __contains__(self, name: object) -> bool:
        try:
            return self[str(name)] is not None
        except KeyError:
            return False


OF_AN_ARM = {
    "joints": ("joint_position", "rad"),
    "gripper": ("gripper_position", "0 open, 1 closed"),
    "hand": ("hand_position", "as recorded"),  # its fingers, in whatever form
    "tool": ("tool_pose", "as recorded"),  # a place and a turn, in whatever form
    "numbers": ("numbers", "as recorded"),
}
JOINTS = 7 * ("rad",)
STATE_ENTRIES: dict[str, StateEntry] = _Entries(
    {
        "qpos8": StateEntry("qpos", (*JOINTS, "m"), Owner.simulator),  # a Panda's joints and one finger
        "qpos9": StateEntry("qpos", (*JOINTS, "m", "m"), Owner.simulator),  # and both
        "finger1": StateEntry("qpos", ("m",), Owner.simulator, first=7),  # the one finger of qpos8 alone
        "goal_pos": StateEntry("goal_pos", 3 * ("m",), Owner.simulator, holds_goal=True),  # world frame
        "tcp_pose": StateEntry("tcp_pose", (*3 * ("m",), *4 * ("quat_wxyz",)), Owner.simulator),  # world frame
        "eef_pos3": StateEntry("eef_pos", 3 * ("m",), Owner.simulator),  # of a gripper's site, world frame
        "eef_axis_angle3": StateEntry("eef_axis_angle", 3 * ("rad",), Owner.simulator),  # its angle is 0 to 2 pi
        "fingers2": StateEntry("fingers", 2 * ("m",), Owner.simulator),  # the second one's is negative
        "joints7": StateEntry("joint_position", JOINTS, Owner.arm),
        "gripper1": StateEntry("gripper_position", ("0 open, 1 closed",), Owner.arm),
    }
)
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
    """A name for each number: ("joints7", "gripper1") -> joints7[0] ... joints7[6], gripper1[0]; none for an unknown entry. Of
    an entry that is there twice (two arms) the second is joints7.2[0] and so on."""
    counts, numbers = Counter[str](), list[str]()
    for name in names:
        counts[name] += 1
        told = name if counts[name] == 1 else f"{name}.{counts[name]}"
        numbers += [f"{told}[{i}]" for i in range(STATE_ENTRIES[name].count)] if name in STATE_ENTRIES else []
    return numbers


def columns_of(names: Iterable[str], array: str) -> list[int]:
    """Which numbers of a state of these entries are of that array ("joint_position"), in order."""
    units = [entry.array for name in names for entry in [STATE_ENTRIES[name]] for _ in entry.units]
    return [column for column, own in enumerate(units) if own == array]


def entries_of(words: Sequence[str]) -> tuple[str, ...]:
    """What the numbers of joint targets are, by their names in control.layout: ``j1 j2 gripper`` -> joints2, gripper1."""
    entries: list[tuple[str, int]] = []
    for word in words:
        kind = "gripper" if "grip" in word.lower() else "joints"
        if entries and entries[-1][0] == kind:
            entries[-1] = kind, entries[-1][1] + 1
        else:
            entries.append((kind, 1))
    return tuple(f"{kind}{count}" for kind, count in entries)
