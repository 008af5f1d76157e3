"""One line of JSON per finished episode, written at once, so that a killed evaluation goes on where it stopped."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pirig.comparison.statistics import Rate, rate
from pirig.sim.sub_goals import ordered


@dataclass(frozen=True)
class EpisodeResult:
    """`flags`: the sub-goals that were true at some step; `first_success`: its step, -1 if there was none. `came_down_m`: how
    far across from the task's object the hand was where it first came down, None where it never did or nobody said."""

    scene: int  # "seed" in the file
    success: bool
    success_at_end: bool
    first_success: int
    steps: int
    seconds: float
    flags: dict[str, bool] = field(default_factory=dict)
    came_down_m: float | None = None

    def to_line(self) -> str:
        """JSON; a scene was called a seed when the first of these files were written."""
        return json.dumps({"seed" if key == "scene" else key: value for key, value in dataclasses.asdict(self).items()})

    @staticmethod
    def from_line(line: str) -> EpisodeResult:
        values = json.loads(line)
        return EpisodeResult(scene=values.pop("seed"), **values)


class ResultsFile:
    """`<folder>/episodes.jsonl` and the executed actions f32 [steps, action_dim] in `<folder>/actions/<scene>.npy`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.path = folder / "episodes.jsonl"
        (folder / "actions").mkdir(parents=True, exist_ok=True)
        self.done = {result.scene: result for result in self._read()}

    def _read(self) -> list[EpisodeResult]:
        """A torn last line (a kill) is left out and cut off."""
        if not self.path.is_file():
            return []
        whole, _, torn = self.path.read_text().rpartition("\n")
        if torn:
            self.path.write_text(whole + "\n" if whole else "")
        return [EpisodeResult.from_line(line) for line in whole.splitlines()]

    def add(self, result: EpisodeResult, actions: np.ndarray) -> None:
        np.save(self.folder / "actions" / f"{result.scene}.npy", actions)
        with open(self.path, "a") as file:
            file.write(result.to_line() + "\n")
        self.done[result.scene] = result

    def actions(self, scene: int) -> np.ndarray:
        return np.load(self.folder / "actions" / f"{scene}.npy")

    def results(self, scenes: list[int]) -> list[EpisodeResult]:
        """In the order of `scenes`, whatever the order in which they finished."""
        return [self.done[scene] for scene in scenes]

    def rate(self, scenes: list[int]) -> Rate:
        results = self.results(scenes)
        return rate([result.success for result in results], [result.success_at_end for result in results])


def came_down_mm(results: list[EpisodeResult]) -> float | None:
    """Median over the episodes in which the hand came down; None where it never did. Tells zeros apart."""
    known = [result.came_down_m for result in results if result.came_down_m is not None]
    return round(1e3 * float(np.median(known)), 1) if known else None


def sub_goals(results: list[EpisodeResult]) -> dict[str, int]:
    """How many episodes reached each sub-goal of the task at some step, in the order of an episode."""
    names = ordered({name for result in results for name in result.flags})
    return {name: sum(result.flags.get(name, False) for result in results) for name in names}
