"""One line of JSON per finished episode, written at once, so that a killed evaluation goes on where it stopped."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pirig.comparison.statistics import Rate, rate
from pirig.files.atomic import write_bytes
from pirig.files.records import read_lines
from pirig.sim.sub_goals import ordered

NEEDED = ("seed", "success", "success_at_end", "first_success", "steps", "seconds")  # older results have no more


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
    def from_plain(line: dict[str, Any]) -> EpisodeResult:
        names = {field.name for field in dataclasses.fields(EpisodeResult)}
        return EpisodeResult(scene=line["seed"], **{name: value for name, value in line.items() if name in names})


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
        lines = list(read_lines(self.path, *NEEDED, remedy="remove that line: its episode is measured again"))
        whole, _, torn = self.path.read_bytes().rpartition(b"\n")
        if torn:
            write_bytes(self.path, whole + b"\n" if whole else b"")
        return [EpisodeResult.from_plain(line) for line in lines]

    def add(self, result: EpisodeResult, actions: np.ndarray) -> None:
        np.save(self.folder / "actions" / f"{result.scene}.npy", actions)
        with open(self.path, "a") as file:
            file.write(result.to_line() + "\n")
        self.done[result.scene] = result

    def actions(self, scene: int) -> np.ndarray:
        return np.load(self.folder / "actions" / f"{scene}.npy")

    def all_actions(self, scenes: list[int]) -> list[np.ndarray]:
        """Of those of these scenes whose file is still there."""
        return [self.actions(scene) for scene in scenes if (self.folder / "actions" / f"{scene}.npy").is_file()]

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
