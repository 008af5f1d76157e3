"""Where a policy lost its way: a sub-goal not reached by the time in which demos reach it, an object that it let go."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pirig.sim.sub_goals import FUNNEL

GRASPED, SUCCESS = "grasped", "success"
MOST = 0.9  # of the demos: a sub-goal that fewer of them reach is none of the task's
SETTLE_STEPS = 10  # after a drop, until the object has come to rest
Timeline = Mapping[str, np.ndarray]  # sub-goals and success, bool [T] each: whether it is true after step t + 1


@dataclass(frozen=True)
class Lost:
    """`step`: how many steps had been made. `what`: "reached late", ..., or "dropped"."""

    step: int
    what: str


def first_step(flag: np.ndarray) -> int | None:
    """Counted from 1; None where it never is true."""
    true = np.flatnonzero(flag)
    return int(true[0]) + 1 if len(true) else None


def limits(demos: Sequence[Timeline], late: float) -> dict[str, int]:
    """By sub-goal, in the order of an episode, after how many steps it is late: `late` times what the slowest demo needs.

    Of those that most demos reach, and always of success. Raises ValueError where no demo succeeds.
    """
    allowed = {}
    for name in (*(name for name in FUNNEL if all(name in demo for demo in demos)), SUCCESS):
        steps = [step for demo in demos if (step := first_step(demo[name])) is not None]
        if steps and len(steps) >= MOST * len(demos):
            allowed[name] = math.ceil(late * max(steps))
    if SUCCESS not in allowed:
        raise ValueError(
            f"fewer than {MOST:.0%} of {len(demos)} demos succeed when they are replayed here, so nothing says when a policy is "
            "late; `pirig doctor` of their run says what is wrong with the data set"
        )
    return allowed


def moments(episode: Timeline, allowed: Mapping[str, int]) -> list[Lost]:
    """Every time that an episode lost its way, first things first; none is later than its last step."""
    length = len(episode[SUCCESS])
    found = []
    for name, limit in allowed.items():
        reached = first_step(episode[name]) if name in episode else None
        if reached is None or reached > limit:
            found.append(Lost(min(limit, length), f"{name} late"))
    found += [Lost(step, "dropped") for step in _drops(episode, length)]
    return sorted(found, key=lambda lost: lost.step)


def _drops(episode: Timeline, length: int) -> list[int]:
    """Steps at which an object has come to rest that was held, was let go and was not taken up again; where it lies is for the
    planner to judge."""
    held = episode.get(GRASPED)
    if held is None:
        return []
    let_go = np.flatnonzero(held[:-1] & ~held[1:]) + 2  # steps that had been made
    return [
        int(step) + SETTLE_STEPS
        for step in let_go
        if step + SETTLE_STEPS <= length and not held[step - 1 : step - 1 + SETTLE_STEPS].any()
    ]


def lost_at(episode: Timeline, allowed: Mapping[str, int]) -> Lost | None:
    """The first moment at which no object was held, None where there is none: a planner opens the gripper, and would drop it.

    A success needs no correction: ask only of episodes that failed.
    """
    held = episode.get(GRASPED)
    free = (lost for lost in moments(episode, allowed) if held is None or not held[lost.step - 1])
    return next(free, None)
