"""Demos that do not start where a reset leaves the arm: what is drawn of a seed, and how it is told."""

from __future__ import annotations

import numpy as np

from pirig.config.schema import DemosConfig

# beside the seed, so that no other use of the seed draws the same numbers
PUSH_DRAWS, SPREAD_DRAWS, HELD_PUSH_DRAWS = 1, 2, 3
PUSH_STEPS = 5  # for which a push lasts
LEAST_STEPS = 10  # of a demo: one that was pushed so shortly before its end that less is left is not kept


def is_disturbed(seed: int, share: float, draws: int = PUSH_DRAWS) -> bool:
    """Whether a seed belongs to the `share` of demos that are disturbed; it does for every larger share too. `draws`:
    PUSH_DRAWS before the grasp, HELD_PUSH_DRAWS with something in the hand."""
    return bool(np.random.default_rng([seed, draws, 0]).random() < share)


def push_draw(seed: int, draws: int = PUSH_DRAWS) -> np.random.Generator:
    """Of when and where to an arm is pushed."""
    return np.random.default_rng([seed, draws, 1])


def spread_of(seed: int, joints: int, spread_rad: float) -> np.ndarray:
    """Off the usual start, f64 [joints], rad."""
    return np.random.default_rng([seed, SPREAD_DRAWS]).normal(0.0, spread_rad, joints)


def told(demos: DemosConfig) -> str:
    """What of the starts is not the task's own, for the demos' record: demos of other starts are not taken over."""
    spread = f", starts spread by {demos.start_spread_rad:g} rad" if demos.start_spread_rad else ""
    pushed = f", {demos.disturb:.0%} of them pushed by {demos.disturb_rad:g} rad" if demos.disturb else ""
    of_which = " of the rest" if demos.disturb else ""
    held = f", {demos.disturb_held:.0%}{of_which} with something in the hand by up to {demos.disturb_held_rad:g} rad"
    return spread + pushed + (held if demos.disturb_held else "")
