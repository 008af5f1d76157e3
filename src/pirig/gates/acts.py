"""The gate of a policy that does not act: no number, one action for ever, or the same whatever it sees."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pirig.evaluation.inference import Inputs, learned
from pirig.policies.policy import Policy

FLAT = 1e-6  # of the actions' own scale


def acts(policy: Policy, looks: Mapping[str, Inputs], scale: float) -> list[str]:
    """`looks`: two different inputs by name; `scale`: span of the demonstrated actions."""
    return wrong_actions({name: learned(policy, inputs) for name, inputs in looks.items()}, scale)


def wrong_actions(actions: Mapping[str, np.ndarray], scale: float) -> list[str]:
    """`actions`: chunks [horizon, action_dim] by what the policy saw, from one noise."""
    problems = []
    for name, chunk in actions.items():
        bad = int((~np.isfinite(chunk)).sum())
        if bad:
            problems.append(f"on {name}: {bad} of {chunk.size} numbers are NaN or infinite")
        elif len(chunk) > 1 and np.ptp(chunk, axis=0).max() <= FLAT * scale:
            problems.append(f"on {name}: the actions are the same at every step, though their noise differs")
    if problems:
        return problems
    (sight, first), (other, second) = actions.items()
    if np.abs(first - second).max() <= FLAT * scale:
        problems.append(
            f"the actions on {sight} and on {other} are the same: they do not depend on what the policy sees"
        )
    return problems
