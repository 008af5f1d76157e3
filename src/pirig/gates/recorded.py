"""Gates on recorded data, of which no simulator can be asked: do actions lead the state, does anything move, what is seen?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pirig.config.agreement import targets_of
from pirig.config.state_entries import columns_of, state_numbers
from pirig.datasets.lerobot.read import Dataset
from pirig.gates.images import FLAT, sample

MOVES = {"joints": 0.02, "gripper": 0.05}  # rad, share of its way: a number that changes less says nothing of a lead
BEHIND_FRAMES = 5  # how far behind the state actions are looked for
SAME = 0.2  # of what the state changes from frame to frame
CLEAR = 0.5  # a shift must at least halve the distance between action and state to count
STILL_RAD = 1e-3
DARK, BRIGHT, CLIPPED = 32, 223, 0.95


@dataclass(frozen=True)
class Lead:
    """Of one number: by how many frames its target is ahead of its state, and how far apart they are then and unshifted.

    `step`: what the state changes from a frame to the next, on average.
    """

    name: str
    frames: int
    apart: float
    apart_unshifted: float
    step: float

    @property
    def is_clear(self) -> bool:
        return self.apart < CLEAR * self.apart_unshifted


def lead(dataset: Dataset) -> list[str]:
    """Targets are ahead of the state, by less than a second, and not the state again."""
    leads = leads_of(dataset)
    again = [one.name for one in leads if one.apart_unshifted < SAME * one.step]
    behind = [one for one in leads if one.frames < 0 and one.is_clear and one.name not in again]
    far = [one for one in leads if one.frames >= dataset.contract.fps and one.is_clear]
    sentences = []
    if again:
        sentences.append(
            f"the targets of {', '.join(again)} are just the state of the same frame again, so a policy learns to stay "
            "where it is; record what the arm was told, or take the state of the next frame as action"
        )
    for late, word in ((behind, "behind"), (far, "ahead of")):
        if late:
            counts = ", ".join(f"{one.name} by {abs(one.frames)} frames" for one in late)
            sentences.append(
                f"actions are {word} the state ({counts}), expected 0 to {dataset.contract.fps - 1} frames ahead; rows of state "
                "and action do not belong together: shift the action column"
            )
    return sentences


def leads_of(dataset: Dataset) -> list[Lead]:
    """Of every number that is a target of a number of the state and that moves; [] for a control mode without targets."""
    targets = _targets(dataset)
    numbers = state_numbers(dataset.contract.state)
    pairs = {
        name: (action, numbers.index(name)) for action, name in enumerate(state_numbers(targets)) if name in numbers
    }
    return [
        _lead(dataset, _called(name, state_numbers(targets)), action, state)
        for name, (action, state) in pairs.items()
        if np.ptp(dataset.state[:, state]) > MOVES[_kind(name)]
    ]


def _targets(dataset: Dataset) -> tuple[str, ...]:
    return targets_of(dataset.contract.control_mode, dataset.contract.action_layout)


def _kind(number: str) -> str:
    """joints7[2] -> joints."""
    return "joints" if number.startswith("joints") else "gripper"


def _called(name: str, numbers: list[str]) -> str:
    """joints7[2] -> joint 3, counted over all arms."""
    of_kind = [number for number in numbers if _kind(number) == _kind(name)]
    if _kind(name) == "joints":
        return f"joint {of_kind.index(name) + 1}"
    return "the gripper" if len(of_kind) == 1 else f"gripper {of_kind.index(name) + 1}"


def _lead(dataset: Dataset, name: str, action: int, state: int) -> Lead:
    parts = [dataset.episode_rows(episode) for episode in range(dataset.episode_count)]
    pairs = [(dataset.actions[rows, action], dataset.state[rows, state]) for rows in parts]
    shortest = min(len(values) for values, _ in pairs)
    shifts = range(-min(BEHIND_FRAMES, shortest // 2), min(2 * dataset.contract.fps, shortest // 2) + 1)
    apart = {shift: _apart(pairs, shift) for shift in shifts}
    best = min(apart, key=lambda shift: (apart[shift], abs(shift)))
    step = float(np.mean(np.concatenate([np.abs(np.diff(values)) for _, values in pairs])))
    return Lead(name, best, apart[best], apart[0], step)


def _apart(pairs: list[tuple[np.ndarray, np.ndarray]], shift: int) -> float:
    """Mean distance of action t from state t + shift."""
    gaps = []
    for targets, values in pairs:
        ahead = values[shift:] if shift >= 0 else values[:shift]
        told = targets[: len(targets) - shift] if shift >= 0 else targets[-shift:]
        gaps.append(np.abs(told - ahead))
    return float(np.mean(np.concatenate(gaps)))


def moves(dataset: Dataset) -> list[str]:
    """The arm moves in every episode, and a joint that is told to move does."""
    joints = columns_of(dataset.contract.state, "joint_position")
    if not joints:
        return []
    still = [
        dataset.seeds[episode]
        for episode in range(dataset.episode_count)
        if np.ptp(dataset.state[dataset.episode_rows(episode)][:, joints], axis=0).max() < STILL_RAD
    ]
    if still:
        return [
            f"no joint moves in {len(still)} of {dataset.episode_count} episodes (first: episode {still[0]}); give "
            f"demos.leave_out={still}".replace(", ", ",")
        ]
    sent = columns_of(_targets(dataset), "joint_position")
    if len(sent) != len(joints):
        return []
    told = [np.ptp(dataset.actions[:, place]) for place in sent]
    stuck = [
        place + 1
        for place, column in enumerate(joints)
        if np.ptp(dataset.state[:, column]) < STILL_RAD and told[place] > MOVES["joints"]
    ]
    if not stuck:
        return []
    return [
        f"joint {', '.join(map(str, stuck))} never moves though it is told to: its encoder was not read, or the columns are in "
        "another order (data.state)"
    ]


def pictures(dataset: Dataset) -> list[str]:
    """Every camera shows colours in a range that 8 bits of a lit scene have. What `images` says is not said again."""
    sentences = []
    for role in dataset.roles:
        frames = sample(dataset, role)
        if frames.max() <= 1 or frames.std(axis=(1, 2, 3)).max() < FLAT:
            continue
        if fault := _odd(frames):
            sentences.append(f"{role} {fault}")
    return sentences


def _odd(frames: np.ndarray) -> str:
    """What is wrong with frames u8 [n, H, W, 3]; "" where nothing is."""
    clipped = float(((frames == 0) | (frames == 255)).mean())
    if (frames == frames[..., :1]).all():
        return "has no colours: a grey, infrared or depth picture; choose a colour camera"
    if frames.max() < DARK:
        return f"goes from {frames.min()} to {frames.max()} of 255: too dark, or more than 8 bits cut to 8"
    if frames.min() > BRIGHT:
        return f"goes from {frames.min()} to {frames.max()} of 255: overexposed"
    if clipped > CLIPPED:
        return f"is 0 or 255 in {clipped:.0%} of its numbers: clipped, perhaps from 16 bits or from floats"
    return ""
