"""Success rates that carry their uncertainty."""

from __future__ import annotations

import math
from dataclasses import dataclass

Z_95 = 1.959963984540054  # two-sided 95 % of the normal distribution


@dataclass(frozen=True)
class Rate:
    """`k` of `n` episodes succeeded at some step, `k_at_end` at their last; Wilson 95 % bounds as fractions."""

    k: int
    n: int
    low: float
    high: float
    k_at_end: int


def wilson(k: int, n: int, z: float = Z_95) -> tuple[float, float]:
    """Wilson score interval of k successes in n trials (Wilson 1927). Raises ValueError where k of n makes no sense."""
    if not 0 <= k <= n or n == 0:
        raise ValueError(f"{k} successes of {n} episodes: expected 0 <= k <= n and n > 0")
    share, shrink = k / n, 1 + z * z / n
    centre = (share + z * z / (2 * n)) / shrink
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / shrink
    return max(0.0, centre - half), min(1.0, centre + half)


def rate(once: list[bool], at_end: list[bool]) -> Rate:
    low, high = wilson(sum(once), len(once))
    return Rate(sum(once), len(once), low, high, sum(at_end))
