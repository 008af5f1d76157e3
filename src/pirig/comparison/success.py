"""How often episodes succeeded: what an evaluation writes and a comparison reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

WHERE_LATE = ("of", "delay", "rtc", "latency_ms", "stale", "without_delay", "between_tasks")  # keys of few results


@dataclass(frozen=True)
class SuccessRow:
    """`k` of `n` episodes succeeded at some step, `k_at_end` at their last, within `max_steps`; Wilson 95 % bounds.

    `sub_goals`: how many episodes reached each; `came_down_mm`: how far across from the object the hand first came down, the
    median. `episodes` and `videos` are files. `of`: how many episodes are wanted, where some are missing yet. `jerk`: of the
    commanded motion (evaluation/motion.py). With chunks that come late: `delay` in control steps, `latency_ms` where it was
    measured, `rtc`, `stale` (share of the executed actions that answered an older look than the newest), `without_delay` (k, n of
    the same policy without it, where that is known). `between_tasks`: of a suite the 95 % bounds that its tasks' rates give, as a
    sample of tasks; Wilson's take each episode for one by itself.
    """

    k: int
    n: int
    low: float
    high: float
    k_at_end: int
    sub_goals: dict[str, int] = field(default_factory=dict)
    mean_steps: float | None = None
    max_steps: int | None = None
    first_seed: int | None = None
    gates_skipped: list[str] = field(default_factory=list)
    episodes: str = ""
    videos: list[str] = field(default_factory=list)
    of: int | None = None
    came_down_mm: float | None = None
    jerk: float | None = None
    delay: int = 0
    rtc: bool = False
    latency_ms: float | None = None
    stale: float = 0.0
    without_delay: list[int] | None = None
    between_tasks: list[float] | None = None

    @property
    def share(self) -> float:
        return self.k / self.n

    @property
    def late(self) -> bool:
        """Whether chunks came late, or were sampled for that."""
        return self.delay > 0 or self.rtc

    @property
    def fall(self) -> float | None:
        """Of the success rate, from no delay to this one."""
        return self.without_delay[0] / self.without_delay[1] - self.share if self.without_delay else None

    def lines(self, name: str) -> list[str]:
        down = "" if self.came_down_mm is None else f", hand comes down {self.came_down_mm:.0f} mm off (median)"
        text = [
            f"{name:10} {self.k}/{self.n}  {self.low:.1%} to {self.high:.1%} (Wilson 95 %){self._tasks_text()}{down}"
        ]
        return text if not self.late else [*text, f"{'':10} {self.late_text()}"]

    def _tasks_text(self) -> str:
        if self.between_tasks is None:
            return ""
        low, high = self.between_tasks
        return f", {low:.1%} to {high:.1%} by the spread of its tasks"

    def late_text(self) -> str:
        """How late chunks came, and what that did."""
        parts = [f"chunks come {self.delay} steps late" + (f" ({self.latency_ms:.0f} ms)" if self.latency_ms else "")]
        parts[0] += ", real-time chunking" if self.rtc else ""
        parts.append(f"{self.stale:.0%} of the actions stale")
        if self.jerk is not None:
            parts.append(f"jerk {self.jerk:.3g}")
        if self.without_delay and self.fall is not None:
            k, n = self.without_delay
            parts.append(f"without delay {k}/{n}, a fall of {100 * self.fall:.0f} points")
        return "; ".join(parts)

    def plain(self) -> dict[str, Any]:
        """As rates.json holds it; what a finished evaluation without delay does not have is left out."""
        usual = {entry.name: entry.default for entry in dataclasses.fields(self) if entry.name in WHERE_LATE}
        return {
            name: value for name, value in dataclasses.asdict(self).items() if name not in usual or value != usual[name]
        }

    @staticmethod
    def from_plain(values: Mapping[str, Any]) -> SuccessRow:
        """Keys of other versions are passed over. Raises ValueError where more episodes succeeded than there were."""
        k, n = values.get("k"), values.get("n")
        if not isinstance(k, int) or not isinstance(n, int) or not 0 <= k <= n:
            raise ValueError(
                f"k={k} successes of n={n} episodes cannot be; remove that file, and `pirig eval RUN` writes it again"
            )
        known = {entry.name for entry in dataclasses.fields(SuccessRow)}
        return SuccessRow(**{key: value for key, value in values.items() if key in known})
