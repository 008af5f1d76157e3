"""How what was executed moved the arm: how jerkily, and how much of it answered an older look than the newest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pirig.contract import Contract


def jerk(episodes: Sequence[np.ndarray], contract: Contract) -> float | None:
    """Root mean square of the commanded motion's third difference, in units of the action per control step cubed.

    `episodes`: executed actions [T, action_dim]. Of an action that is a change of the pose the second difference is the motion's
    third. The gripper is left out. None where every episode is too short.
    """
    moving = [number for number, name in enumerate(contract.action_layout.split()) if name != "gripper"]
    order = 2 if "delta" in contract.control_mode else 3
    parts = [np.diff(np.asarray(actions, np.float64)[:, moving], order, axis=0) for actions in episodes]
    found = np.concatenate(parts) if parts else np.empty((0, 1))
    return float(np.sqrt(np.square(found).mean())) if found.size else None


def stale_share(steps: Sequence[int], execute: int, delay: int) -> float:
    """Share of the executed actions that answered an older look than the newest: the first `delay` after every look but an
    episode's first. `steps`: of each episode."""
    stale = sum(min(delay, steps_ - look) for steps_ in steps for look in range(execute, steps_, execute))
    return stale / max(1, sum(steps))
