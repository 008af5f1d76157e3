"""Which episodes are measured, and for how long."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pirig.demos.manifest import longest_usual


def held_out_seeds(first_seed: int, count: int, demo_seeds: Sequence[int]) -> list[int]:
    """`count` seeds from `first_seed` on. Raises ValueError where a demo was recorded from one of them."""
    seeds = list(range(first_seed, first_seed + count))
    shared = sorted(set(seeds) & set(demo_seeds))
    if shared:
        raise ValueError(
            f"evaluation seeds {seeds[0]} to {seeds[-1]} hold {len(shared)} seeds that demos were recorded from "
            f"(first: {shared[0]}); set eval.first_seed above {max(demo_seeds)}."
        )
    return seeds


def step_limit(max_steps: int, step_margin: float, demo_lengths: Sequence[int]) -> int:
    """`max_steps`, or where it is 0 `step_margin` times the longest demo but for the few that wandered.

    Raises ValueError where the limit is shorter than the median demo: most episodes could not be solved in time.
    """
    if not max_steps:
        return math.ceil(longest_usual(demo_lengths) * step_margin)
    median = sorted(demo_lengths)[len(demo_lengths) // 2]
    if max_steps < median:
        raise ValueError(
            f"eval.max_steps={max_steps} is shorter than the median demo ({median} steps), so even the demos would "
            f"count as failures; leave it at 0 (longest usual demo times eval.step_margin) or set at least {max(demo_lengths)}."
        )
    return max_steps
