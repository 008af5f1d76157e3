"""The data sets of a mix's tasks as one: one after the other, each episode with its task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pirig.contract import Contract, require_equal
from pirig.datasets.lerobot.read import Dataset


class Joined(Dataset):
    """`parts` by source, in the contract's order; `sources` and `tasks` name each episode's source and scene. `labels`: those
    that all of them hold.

    Raises ContractError where a part is not what the contract says of its task.
    """

    def __init__(self, contract: Contract, parts: Mapping[str, Dataset]) -> None:
        for task, part in parts.items():
            require_equal(
                contract.of_task(task), part.contract, our_name=f"task {task} of this run", their_name=str(part.folder)
            )
        self.contract, self.parts = contract, dict(parts)
        self.folder = Path(" + ".join(str(part.folder) for part in parts.values()))
        self.lengths = [length for part in parts.values() for length in part.lengths]
        self.seeds = [seed for part in parts.values() for seed in part.seeds]
        self.starts = [start for part in parts.values() for start in part.starts]
        self.sources = [task for task, part in parts.items() for _ in part.lengths]
        self.tasks = [f"{task}/{own}" if own else task for task, part in parts.items() for own in own_tasks(part)]
        self.offsets = [0, *np.cumsum(self.lengths).tolist()[:-1]]
        self.state = np.concatenate([part.state for part in parts.values()])
        self.actions = np.concatenate([part.actions for part in parts.values()])
        shared = set.intersection(*(set(part.labels) for part in parts.values()))
        self.labels = {
            name: np.concatenate([part.labels[name] for part in parts.values()])
            for name in sorted(shared)
            if len({part.labels[name].shape[1] for part in parts.values()}) == 1
        }

    def own_episodes(self, task: str, episodes: Sequence[int]) -> list[int]:
        """Those of the `episodes` that are the task's, by their numbers in its own data set."""
        first = self.sources.index(task)
        return [episode - first for episode in episodes if self.sources[episode] == task]

    def picture(self, role: str, index: int) -> bytes | np.ndarray:
        first = 0
        for part in self.parts.values():
            if index < first + part.frame_count:
                return part.picture(role, index - first)
            first += part.frame_count
        raise IndexError(f"frame {index} of a data set of {self.frame_count} frames")


def own_tasks(dataset: Dataset) -> list[str]:
    """The name of each episode's sentence in its own data set; "" where that has one."""
    return dataset.tasks or [""] * dataset.episode_count


def sources_of(dataset: Dataset) -> np.ndarray | None:
    """Each frame's source in a mix, [N]; None where the data set is none of a mix."""
    return np.repeat(np.array(dataset.sources, object), dataset.lengths) if isinstance(dataset, Joined) else None


def part_of(dataset: Dataset, task: str, episodes: Sequence[int]) -> tuple[Dataset, Sequence[int]]:
    """A task's own data set and those of the `episodes` that are its; of `task` "" all of both."""
    if task and isinstance(dataset, Joined):
        return dataset.parts[task], dataset.own_episodes(task, episodes)
    return dataset, episodes


class JoinedFrames:
    """Frames u8 [N, px, px, 3] that lie in several arrays, by frame numbers; memory maps stay on disk."""

    def __init__(self, parts: Sequence[np.ndarray]) -> None:
        self.parts, self.ends = list(parts), np.cumsum([len(part) for part in parts])
        self.shape, self.dtype = (int(self.ends[-1]), *self.parts[0].shape[1:]), self.parts[0].dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, frames: Any) -> np.ndarray:
        """`frames`: an array of numbers, a slice or one number."""
        numbers = np.arange(len(self))[frames]
        flat = np.atleast_1d(numbers)
        values = np.empty((len(flat), *self.shape[1:]), self.dtype)
        which = np.searchsorted(self.ends, flat, side="right")
        for number in np.unique(which):
            here, part = which == number, self.parts[number]
            values[here] = part[flat[here] - (self.ends[number] - len(part))]
        return values if np.ndim(numbers) else values[0]


def tasks_of(dataset: Dataset) -> np.ndarray | None:
    """Each frame's task, [N]; None where the contract has one that needs no name."""
    return np.repeat(np.array(dataset.tasks, object), dataset.lengths) if dataset.tasks else None


def prompts_of(dataset: Dataset) -> np.ndarray | None:
    """What each frame's episode is told, [N]; None: the contract's one sentence."""
    if not dataset.tasks:
        return None
    told = {scene.task: scene.prompt for scene in dataset.contract.scenes}
    return np.repeat(np.array([told[task] for task in dataset.tasks], object), dataset.lengths)
