"""Success rates that carry their uncertainty."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Z_95 = 1.959963984540054  # two-sided 95 % of the normal distribution
Z_POWER_80 = 0.8416212335729143  # one-sided 80 %
ALPHA = 0.05


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
    return centre - half if k else 0.0, centre + half if k < n else 1.0


def mean_interval(shares: Sequence[float]) -> tuple[float, float]:
    """95 % bounds of the mean of the rates of two tasks or more, taken for a sample of tasks (Student's t), within 0 and 1."""
    from scipy.special import stdtrit

    count = len(shares)
    half = float(stdtrit(count - 1, 0.975)) * float(np.std(shares, ddof=1)) / math.sqrt(count)
    mean = float(np.mean(shares))
    return max(0.0, mean - half), min(1.0, mean + half)


def rate(once: list[bool], at_end: list[bool]) -> Rate:
    low, high = wilson(sum(once), len(once))
    return Rate(sum(once), len(once), low, high, sum(at_end))


def fisher_exact(k1: int, n1: int, k2: int, n2: int) -> float:
    """Two-sided p of Fisher's exact test that k1 of n1 and k2 of n2 come from one rate.

    The sum over all tables with these margins that are no likelier than the one seen (as R's and scipy's).
    """
    total, logs = k1 + k2, _log_factorials(n1 + n2)
    table = np.arange(max(0, total - n2), min(n1, total) + 1)
    weights = -logs[table] - logs[n1 - table] - logs[total - table] - logs[n2 - total + table]
    weights = np.exp(weights - weights.max())
    seen = weights[k1 - table[0]]
    return float(min(1.0, weights[weights <= seen * (1 + 1e-7)].sum() / weights.sum()))


def _log_factorials(highest: int) -> np.ndarray:
    """ln(0!), ln(1!), ... at least up to `highest`."""
    return _log_factorial_table(max(1024, 1 << highest.bit_length()))


@functools.cache
def _log_factorial_table(size: int) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, size + 1)))])


def episodes_needed(share1: float, share2: float) -> int | None:
    """Episodes of each policy with which Fisher's exact test at 5 % finds this difference four times of five.

    Casagrande, Pike and Smith (1978): the normal sample size for a power of 80 %, corrected for the exact test. None
    where the shares are equal.
    """
    gap = abs(share1 - share2)
    if gap == 0:
        return None
    mean = (share1 + share2) / 2
    spread = Z_95 * math.sqrt(2 * mean * (1 - mean))
    spread += Z_POWER_80 * math.sqrt(share1 * (1 - share1) + share2 * (1 - share2))
    plain = (spread / gap) ** 2
    return math.ceil(plain / 4 * (1 + math.sqrt(1 + 4 / (plain * gap))) ** 2)


@dataclass(frozen=True)
class Verdict:
    """Whether two success counts differ. `episodes`: of each, that would probably tell; None where they do, or are equal."""

    p: float
    differ: bool
    episodes: int | None

    @property
    def text(self) -> str:
        if self.differ:
            return "differ"
        if self.episodes is None:
            return "not distinguishable at this n; the shares are equal"
        return f"not distinguishable at this n; about {rounded(self.episodes):,} episodes each would be needed"


@functools.cache
def compare_counts(k1: int, n1: int, k2: int, n2: int) -> Verdict:
    p = fisher_exact(k1, n1, k2, n2)
    return Verdict(p, p < ALPHA, None if p < ALPHA else episodes_needed(k1 / n1, k2 / n2))


def rounded(count: int) -> int:
    """Upwards to two digits: the estimate is no better than that."""
    unit = 10 ** max(0, len(str(count)) - 2)
    return -(-count // unit) * unit


def holm(values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p-values, in the order given: below 5 % where a verdict survives so many tests."""
    order = sorted(range(len(values)), key=lambda place: values[place])
    adjusted, highest = [0.0] * len(values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, values[place] * (len(values) - rank)))
        adjusted[place] = highest
    return adjusted
