"""Time for a loop: the machine's, or one that jumps, so that tests of minutes take milliseconds."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np


class Clock(Protocol):
    def now_s(self) -> float: ...

    def sleep_until(self, time_s: float) -> None: ...


class RealClock:
    SPIN_S = 0.002  # the last part is waited for awake: a sleep of the system overshoots

    def now_s(self) -> float:
        return time.monotonic()

    def sleep_until(self, time_s: float) -> None:
        while (left_s := time_s - time.monotonic()) > 0:
            if left_s > self.SPIN_S:
                time.sleep(left_s - self.SPIN_S)


@dataclass
class JumpingClock:
    time_s: float = 0.0

    def now_s(self) -> float:
        return self.time_s

    def sleep_until(self, time_s: float) -> None:
        self.time_s = max(self.time_s, time_s)


@dataclass
class Jitter:
    """How far the ticks of a loop were from its rate."""

    period_s: float
    late_s: list[float] = field(default_factory=list)

    def tick(self, planned_s: float, now_s: float) -> None:
        self.late_s.append(now_s - planned_s)

    def said(self) -> str:
        if not self.late_s:
            return "no tick"
        late_ms = 1e3 * np.array(self.late_s)
        missed = int((late_ms > 1e3 * self.period_s).sum())
        p50, p99 = np.percentile(late_ms, (50, 99))
        return (
            f"{len(late_ms)} ticks at {1 / self.period_s:g} Hz, late by p50 {p50:.2f} ms, p99 {p99:.2f} ms, at most "
            f"{late_ms.max():.2f} ms; {missed} later than a period"
        )
