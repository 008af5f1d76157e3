"""Which episodes are measured, and for how long."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pirig.demos.manifest import longest_usual


def held_out_scenes(first: int, count: int, demo_scenes: Sequence[int]) -> list[int]:
    """`count` scenes from `first` on. Raises ValueError where a demo was recorded in one of them."""
    scenes = list(range(first, first + count))
    shared = sorted(set(scenes) & set(demo_scenes))
    if shared:
        raise ValueError(
            f"the evaluation's scenes {scenes[0]} to {scenes[-1]} hold {len(shared)} that demos were recorded from "
            f"(first: {shared[0]}); set eval.first_seed above {max(demo_scenes)}."
        )
    return scenes


def step_limit(max_steps: int, step_margin: float, demo_lengths: Sequence[int]) -> int:
    """`max_steps`, or where it is 0 `step_margin` times the longest demo but for the few that wandered.

    Raises ValueError where the limit is shorter than the median demo: most episodes could not be solved in time.
    """
    limit = max_steps or math.ceil(longest_usual(demo_lengths) * step_margin)
    median = sorted(demo_lengths)[len(demo_lengths) // 2]
    if limit >= median:
        return limit
    asked = f"eval.max_steps={max_steps}" if max_steps else f"eval.step_margin={step_margin}, a limit of {limit} steps,"
    raise ValueError(
        f"{asked} is shorter than the median demo ({median} steps), so even the demos would count as failures; leave "
        f"eval.max_steps at 0 and eval.step_margin at 1.5 or so, or choose eval.max_steps={max(demo_lengths)} or more."
    )
