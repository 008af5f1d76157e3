import numpy as np
import pytest

from pirig.diagnosis.evidence import Evidence, HandOver, History, Late, Outcome, Parity
from pirig.evaluation.open_loop import Errors

CHUNK, NUMBERS = 16, 7


def errors(policy: float | np.ndarray, without: dict[str, float] | None = None) -> Errors:
    """A policy whose error is this share of the mean action's; by number or chunk step with an array [A, J]."""
    ones = np.ones((CHUNK, NUMBERS))
    return Errors(
        64, 4, ones * policy, ones, ones * 0.9, np.ones(NUMBERS), without or {"base_0_rgb": 2.0, "state": 1.5}
    )


def outcome(k: int = 12, n: int = 40, **changes) -> Outcome:
    from pirig.comparison.statistics import wilson

    low, high = wilson(k, n)
    goals = {"reached": n, "moved": n, "placed": k}
    values = {"limit": 120, "execute": 8, "oracle": (20, 20), "start": ("untrained", 0, 40), "sub_goals": goals}
    return Outcome(
        folder="eval", k=k, n=n, low=low, high=high, gates_skipped=[], failed_seeds=[1, 2], **{**values, **changes}
    )


def parity(step: int = 0, mean: float = 0.0, state: float = 0.0, tokens: int = 0) -> Parity:
    return Parity(7, step, {"base_0_rgb": (9 * mean, mean)}, state, 3, 10 * state, tokens)


def hand_overs(demo_first: list[int], n: int = 4) -> list[HandOver]:
    shares = (0.0, 0.25, 0.5, 0.75)
    policy_first = [HandOver("policy", share, k, n) for share, k in zip(shares, (n, 2, 0, 0), strict=True)]
    return policy_first + [HandOver("demo", share, k, n) for share, k in zip(shares, demo_first, strict=True)]


@pytest.fixture
def healthy():
    """A run of which no rule says anything but for what a test changes."""
    return Evidence(
        checkpoint="1000",
        history=History(1000, 8.0, 2.0, 0.05, 0.01),
        action_names="dx dy dz drx dry drz gripper".split(),
        gates={"seeds": [], "first_frame": []},
        outcome=outcome(sub_goals={}),
        training=errors(0.2),
        held_out=errors(0.22),
        late=Late(0, 5, 240),
        parity=[parity(), parity(step=30, mean=1.5)],
    )
