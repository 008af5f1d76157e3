"""What a recorded data set says of its columns and its robot, against the contract: who, which numbers, in which order and unit.

Recorders name numbers in ways of their own; only what plainly contradicts the contract is refused.
"""

from __future__ import annotations

import re

from pirig.config.agreement import targets_of
from pirig.config.mapping import DataConfig
from pirig.contract import RECORDED, Contract
from pirig.datasets.recording import Recording, split_column
from pirig.foreign.faults import refused

JOINTS = 7
USUAL = ("joints7", "gripper1")  # what is asked of the names of columns
NOBODY = {"", "unknown", "none", "custom", "robot", "arm", "other"}
POSES = {"x", "y", "z", "roll", "pitch", "yaw", "rx", "ry", "rz", "qx", "qy", "qz", "qw"}
GRIPPERS, DEGREES = ("grip", "finger"), ("deg", "degree", "degrees")
CHANGES = {"delta", "deltas", "vel", "velocity", "velocities", "diff"}


def require_robot(source: Recording, contract: Contract) -> None:
    """Raises ForeignFileError where info.json names another arm than the contract's."""
    told = source.robot_type
    words = _words(str(told or ""))
    if not words or words <= NOBODY or words & _words(contract.robot_uid):
        return
    raise refused(
        source.meta.info_file,
        f"robot_type is {told!r}",
        f"give robot.uid={'_'.join(re.findall(r'[A-Za-z0-9]+', str(told)))} if its seven joints and gripper are meant, or "
        "another data set",
        expected=f"this run's {contract.robot_uid}",
    )


def require_columns(source: Recording, contract: Contract, data: DataConfig) -> None:
    """Raises ForeignFileError where the names of the numbers say another order, unit or kind than they are read as."""
    if contract.simulator != RECORDED:
        return
    expected = {"state": contract.state, "actions": targets_of("joint_position", contract.action_layout)}
    for key, columns in (("state", data.state), ("actions", data.actions)):
        if tuple(expected[key]) != USUAL:
            continue
        names, places = _named(source, list(columns))
        if len(names) != JOINTS + 1:
            continue
        _require_kind(source, key, names, contract, data)
        _require_order(source, key, names, places)


def names_passed_over(source: Recording, data: DataConfig) -> list[str]:
    """A note for each column that is read as numbers and whose names are not as many: its order and unit are taken on trust."""
    columns = dict.fromkeys(split_column(one)[0] for one in (*data.state, *data.actions))
    read = {name: source.features[name] for name in columns if name in source.features}
    return [
        f"{name} has {one.misnamed} names for its {one.width} numbers in {source.meta.info_file}; none is read, so look whether "
        f"the numbers are what data.state and data.actions take them for"
        for name, one in read.items()
        if one.misnamed
    ]


def _named(source: Recording, columns: list[str]) -> tuple[list[str], list[str]]:
    """The names of the numbers side by side, and how each is written as a column of its own."""
    names, places = [], []
    for column in columns:
        name, part = split_column(column)
        if name not in source.features:
            return [], []
        told = source.features[name].number_names
        numbers = range(source.features[name].width)[part]
        names += [told[number] for number in numbers] if told else []
        places += [f"{name}[{number}:{number + 1}]" for number in numbers]
    return names, places


def _require_kind(source: Recording, key: str, names: list[str], contract: Contract, data: DataConfig) -> None:
    words = [_words(name) for name in names[:JOINTS]]
    if all(word & POSES for word in words[:3]):
        raise refused(
            source.meta.info_file, f"the numbers of data.{key} are called {', '.join(names)}",
            f"choose the columns of the joints: data.{key}=[...] (it has {source.described()})",
            expected="seven joints and the gripper, not a pose",
        )  # fmt: skip
    if data.angle_unit == "rad" and any(word & set(DEGREES) for word in words):
        raise refused(
            source.meta.info_file, f"the numbers of data.{key} are called {', '.join(names)}",
            "give data.angle_unit=deg", expected="angles in rad",
        )  # fmt: skip
    changes = key == "actions" and contract.control_mode == "joint_position"
    if changes and all(word & CHANGES for word in words):
        raise refused(
            source.meta.info_file, f"the numbers of data.{key} are called {', '.join(names)}",
            "give control=kinova_joint_deltas, or choose the columns of the targets", expected="joint targets, not changes",
        )  # fmt: skip


def _require_order(source: Recording, key: str, names: list[str], places: list[str]) -> None:
    grips = [number for number, name in enumerate(names) if any(word in name.lower() for word in GRIPPERS)]
    counts = [re.findall(r"\d+", name) for name in names]
    joints = [number for number in range(len(names)) if number not in grips]
    order = joints
    if all(len(counts[number]) == 1 for number in joints):
        order = sorted(joints, key=lambda number: int(counts[number][0]))
    if len(grips) != 1 or [*order, *grips] == list(range(len(names))):
        return
    columns = ",".join(f"'{places[number]}'" for number in [*order, *grips])
    raise refused(
        source.meta.info_file, f"the numbers of data.{key} are called {', '.join(names)}",
        f'give "data.{key}=[{columns}]"', expected="joints 1 to 7, then the gripper",
    )  # fmt: skip


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", text).lower()))
