"""N successful demos by ManiSkill's motion planner: plan, replay with cameras, keep only what succeeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pirig.config.schema import DemosConfig, TaskConfig
from pirig.contract import Contract
from pirig.demos.collect import claim, collect
from pirig.demos.manifest import DemosManifest
from pirig.demos.maniskill.planner import PLANNING_MODE, RecordingEnv, find_solver, plan
from pirig.demos.maniskill.replay import open_simulators, replay
from pirig.demos.reuse import take_over


def generate(contract: Contract, task: TaskConfig, demos: DemosConfig, folder: Path) -> DemosManifest:
    """Fills `folder` with `demos.count` successful episodes. Resumes where a killed call stopped.

    Demos of the same scenes in data sets beside this one are taken over.

    Raises ValueError where no solver is known, the folder belongs to another contract, or too few seeds succeeded.
    """
    find_solver(task)
    limit = demos.max_tries or 4 * demos.count
    seeds = list(range(demos.first_seed, demos.first_seed + limit))
    source = PlannerSource(contract, task, demos.labels)
    taken = 0
    if not claim(contract, folder):
        taken = take_over(contract, source.name, seeds, demos.count, folder, labels=demos.labels)
    if taken:
        print(f"demos: {taken} taken over from data sets beside this one that hold the same scenes")
    return collect(contract, source, seeds, demos.count, demos.workers, folder)


class PlannerSource:
    def __init__(self, contract: Contract, task: TaskConfig, labels: bool = False):
        self.contract, self.task, self.labels = contract, task, labels
        self.name = f"motion planner {task.solver}, last pose held for {task.hold_steps} steps"
        self.planning: Any = None

    def open(self) -> None:
        self.solver = find_solver(self.task)
        self.planning, self.sim = open_simulators(self.contract, PLANNING_MODE)

    def episode(self, seed: int) -> dict[str, np.ndarray] | None:
        targets = plan(self.solver, RecordingEnv(self.planning), seed, self.task.hold_steps)
        if targets is None:
            return None
        return replay(self.contract, self.planning, self.sim, targets, seed, labels=self.labels)
