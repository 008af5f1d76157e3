"""Frames after which nothing moves: a wait in a demo, which a policy without memory cannot tell from the end of that wait.

A planner's demos stand still while a gripper closes and for as long after it. A policy that is trained on all of it predicts a
wait first, executes that wait, sees the same picture again, and stands there for ever.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

TOLERANCE = 0.02  # of a number's standard deviation over the data set: less is no motion


def idle_frames(state: np.ndarray, lengths: Sequence[int], steps: int) -> np.ndarray:
    """Numbers of the frames after which no number of the state [N, S] moves within `steps` steps, ascending.

    The last frames of an episode are none: what comes after them is not known. Raises ValueError for a state without numbers.
    """
    if not state.shape[1]:
        raise ValueError(
            f"train.idle_steps={steps} with a state of no numbers: it says whether the arm moves; choose a state=, or 0"
        )
    spread = state.std(axis=0, dtype=np.float64)
    numbers, ends = np.arange(len(state)), np.repeat(np.cumsum(lengths), lengths)
    idle = numbers + steps < ends
    for ahead in range(1, steps + 1):
        later = state[np.minimum(numbers + ahead, ends - 1)]
        idle &= (np.abs(later - state) <= TOLERANCE * spread).all(axis=1)
    return np.flatnonzero(idle)
