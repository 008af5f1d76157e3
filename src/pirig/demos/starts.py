"""Demos that do not start where a reset leaves the arm: what is drawn of a seed, and how it is told."""

from __future__ import annotations

import numpy as np

from pirig.config.schema import DemosConfig

PUSH_DRAWS, SPREAD_DRAWS, HELD_DRAWS = (
    1,
    2,
    3,
)  # beside the seed, so that no other use of the seed draws the same numbers
PUSH_STEPS = 5  # for which a push lasts


def is_disturbed(seed: int, share: float) -> bool:
    """Whether a seed belongs to the `share` of demos that are disturbed; it does for every larger share too."""
    return bool(np.random.default_rng([seed, PUSH_DRAWS, 0]).random() < share)


def push_draw(seed: int) -> np.random.Generator:
    """Of when and where to an arm is pushed."""
    return np.random.default_rng([seed, PUSH_DRAWS, 1])


def is_disturbed_held(seed: int, share: float) -> bool:
    """As `is_disturbed`, of those that are pushed with something in the hand."""
    return bool(np.random.default_rng([seed, HELD_DRAWS, 0]).random() < share)


def held_push_draw(seed: int) -> np.random.Generator:
    """As `push_draw`, of those."""
    return np.random.default_rng([seed, HELD_DRAWS, 1])


def spread_of(seed: int, joints: int, spread_rad: float) -> np.ndarray:
    """Off the usual start, f64 [joints], rad."""
    return np.random.default_rng([seed, SPREAD_DRAWS]).normal(0.0, spread_rad, joints)


def told(demos: DemosConfig) -> str:
    """What of the starts is not the task's own, for the demos' record: demos of other starts are not taken over."""
    spread = f", starts spread by {demos.start_spread_rad:g} rad" if demos.start_spread_rad else ""
    pushed = f", {demos.disturb:.0%} of them pushed by {demos.disturb_rad:g} rad" if demos.disturb else ""
    held = f", {demos.disturb_held:.0%} with something in the hand by up to {demos.disturb_held_rad:g} rad"
    return spread + pushed + (held if demos.disturb_held else "")
