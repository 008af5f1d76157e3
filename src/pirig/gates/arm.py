"""Gates on data recorded on a real arm: how its angles and its gripper are counted. Numbers only."""

from __future__ import annotations

import numpy as np

from pirig.config.agreement import targets_of
from pirig.config.state_entries import columns_of
from pirig.datasets.lerobot.read import Dataset
from pirig.transforms.state import JOINT_ARRAY

TURN = 2 * np.pi
JUMP_RAD = 0.5  # between two frames; a Gen3 joint at full speed moves 0.14 rad in 0.1 s
FAR_RAD = 1.0  # between where a joint is and where it is sent in one frame
GRIPPER_SLACK = 0.1
SHARE = 0.9


def angles(dataset: Dataset) -> list[str]:
    """No angle crosses the seam of its turn or jumps, and targets are near where the joints are."""
    columns = columns_of(dataset.contract.state, JOINT_ARRAY)
    if not columns:
        return []
    joints = dataset.state[:, columns]
    targets = targets_of(dataset.contract.control_mode, dataset.contract.action_layout)
    told = columns_of(targets, JOINT_ARRAY)
    jumps = _jumps(dataset, joints)
    if jumps or len(told) != len(columns):
        return jumps
    return _far(dataset, joints, dataset.actions[:, told])


def gripper(dataset: Dataset) -> list[str]:
    """The gripper counts from 0 to 1, its command and its position agree, and it starts where it is open."""
    columns = columns_of(dataset.contract.state, "gripper_position")
    if len(columns) != 1:
        return []  # none, or one of each of two hands
    measured, command, opened = dataset.state[:, columns[0]], dataset.actions[:, -1], dataset.contract.gripper_open
    for name, values in (("state", measured), ("actions", command)):
        if values.min() < -GRIPPER_SLACK or values.max() > 1 + GRIPPER_SLACK:
            return [
                f"the gripper of the {name} goes from {values.min():.3g} to {values.max():.3g}, expected 0 to 1; give "
                "data.gripper_max=100 for per cent, 255 for a Robotiq's register"
            ]
    if np.ptp(command) < 0.5:
        return []  # it is not used
    if measured.std() > 1e-3 and np.corrcoef(measured, command)[0, 1] < 0:
        return [
            "the gripper's position falls where its command rises: state and actions count it in opposite directions"
        ]
    first = np.abs(command[dataset.offsets] - opened) > 0.5
    if first.mean() > SHARE:
        low = (command < 0.5).mean()
        return [
            f"{first.mean():.0%} of the episodes start with the gripper at {1 - opened:g}, which control.gripper_open={opened:g} "
            f"calls closed (histogram of all commands: {low:.0%} below 0.5, {1 - low:.0%} above); give "
            f"control.gripper_open={1 - opened:g} if that is open"
        ]
    return []


def _jumps(dataset: Dataset, joints: np.ndarray) -> list[str]:
    first_jump: dict[int, tuple[int, int, float]] = {}
    for episode in range(dataset.episode_count):
        moved = np.abs(np.diff(joints[dataset.episode_rows(episode)], axis=0))
        for joint in np.flatnonzero(moved.max(axis=0, initial=0) > JUMP_RAD):
            step = int(moved[:, joint].argmax())
            first_jump.setdefault(int(joint), (episode, step, float(moved[step, joint])))
    seams = [joint for joint, (_, _, size) in first_jump.items() if abs(size - TURN) < JUMP_RAD]
    if seams:
        return [_seam(dataset, joints, seams, first_jump[seams[0]])]
    return [
        f"joint {joint + 1} moves {size:.2f} rad between frames {step} and {step + 1} of episode {episode}: degrees taken "
        "for rad (data.angle_unit=deg), or frames are missing"
        for joint, (episode, step, size) in list(first_jump.items())[:1]
    ]


def _seam(dataset: Dataset, joints: np.ndarray, seams: list[int], first: tuple[int, int, float]) -> str:
    centers = list(dataset.contract.angle_center_rad) or [0.0] * joints.shape[1]
    gaps = {joint: free_center(joints[:, joint]) for joint in seams}
    centers = [round(gaps[joint][0], 2) if joint in gaps else center for joint, center in enumerate(centers)]
    names = ", ".join(str(joint + 1) for joint in seams)
    start = (
        f"joint {names} wraps by 2 pi (first between frames {first[1]} and {first[1] + 1} of episode {first[0]}), so one "
        "position has two numbers"
    )
    if min(gap for _, gap in gaps.values()) < JUMP_RAD:
        return f"{start}, and it goes all the way round: no turn without a seam; leave those episodes out (demos.leave_out)"
    return f"{start}; give state.angle_center_rad=[{','.join(f'{center_rad:g}' for center_rad in centers)}]"


def free_center(angles_rad: np.ndarray) -> tuple[float, float]:
    """The centre of the turn whose seam lies in the middle of the widest gap between these angles, and that gap (rad)."""
    around = np.sort(np.asarray(angles_rad, np.float64) % TURN)
    gaps = np.diff(np.append(around, around[0] + TURN))
    widest = int(gaps.argmax())
    center = around[widest] + gaps[widest] / 2 + np.pi
    return float((center + np.pi) % TURN - np.pi), float(gaps[widest])


def _far(dataset: Dataset, joints: np.ndarray, targets: np.ndarray) -> list[str]:
    apart = np.abs(targets - joints)
    joint = int(apart.max(axis=0).argmax())
    row = int(apart[:, joint].argmax())
    if apart[row, joint] <= FAR_RAD:
        return []
    if abs(apart[row, joint] - TURN) < FAR_RAD:
        return [
            f"joint {joint + 1} is at {joints[row, joint]:.2f} and is sent to {targets[row, joint]:.2f} rad (frame {row}): the "
            f"same place a turn away; {_seam(dataset, joints, [joint], (0, row, TURN)).rpartition('; ')[2]}"
        ]
    return [
        f"joint {joint + 1} is sent {apart[row, joint]:.2f} rad away in one step (frame {row}): state and actions are not of "
        "the same unit or joint order, or the actions are changes (control=kinova_joint_deltas)"
    ]
