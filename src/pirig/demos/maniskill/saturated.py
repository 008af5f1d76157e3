"""Where demos move as fast as their control mode allows: what wanted to go faster was cut, and a policy learns the cut."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pirig.contract import Contract

BOUND, NEAR = 1.0, 1e-3  # of modes that are normalised
WORTH_SAYING = 0.05  # of the steps
GRIPPER = "gripper"


def shares(actions: np.ndarray, names: Iterable[str]) -> dict[str, float]:
    """Of [N, A] normalised actions: in which share of the steps each number of the motion is at its bound, the largest first.
    The gripper, which only opens and closes, is none."""
    at_bound = (np.abs(actions) >= BOUND - NEAR).mean(0)
    named = [(name, float(share)) for name, share in zip(names, at_bound, strict=True) if name != GRIPPER]
    return dict(sorted(named, key=lambda one: -one[1]))


def note(contract: Contract, episodes: Iterable[np.ndarray]) -> str:
    """What to know of demos with these actions [T, A]; "" where few are at the bound, or the mode has no such bound."""
    if "delta" not in contract.control_mode:
        return ""
    actions = np.concatenate(list(episodes))
    found = {name: share for name, share in shares(actions, contract.action_layout.split()).items() if share > 0}
    if not found or max(found.values()) < WORTH_SAYING:
        return ""
    most = ", ".join(f"{name} {share:.0%}" for name, share in list(found.items())[:3])
    return (
        f"motion saturates: so often is a number of the actions at its bound of {contract.control_mode}, -1 or 1: {most} of the "
        "steps. What was to move faster is cut, so a policy learns to go as fast as it can; policies of reinforcement learning "
        "often move so, a planner does not (leave demos.path out)"
    )
