"""How often episodes succeeded: what an evaluation writes and a comparison reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class SuccessRow:
    """`k` of `n` episodes succeeded at some step, `k_at_end` at their last, within `max_steps`; Wilson 95 % bounds.

    `sub_goals`: how many episodes reached each; `came_down_mm`: how far across from the object the hand first came down, the
    median. `episodes` and `videos` are files. `of`: how many episodes are wanted, where some are missing yet.
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

    @property
    def share(self) -> float:
        return self.k / self.n

    def lines(self, name: str) -> list[str]:
        down = "" if self.came_down_mm is None else f", hand comes down {self.came_down_mm:.0f} mm off (median)"
        return [f"{name:10} {self.k}/{self.n}  {self.low:.1%} to {self.high:.1%} (Wilson 95 %){down}"]

    def plain(self) -> dict[str, Any]:
        """As rates.json holds it: of a finished evaluation, so without `of`."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "of" or value is not None}

    @staticmethod
    def from_plain(values: Mapping[str, Any]) -> SuccessRow:
        """Keys of other versions are passed over."""
        known = {entry.name for entry in dataclasses.fields(SuccessRow)}
        return SuccessRow(**{key: value for key, value in values.items() if key in known})
