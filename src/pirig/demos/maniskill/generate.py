"""N successful demos by ManiSkill's motion planner: plan, replay with cameras, keep only what succeeds."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from pirig.config.schema import DemosConfig, TaskConfig
from pirig.contract import Contract
from pirig.demos import identity, starts
from pirig.demos.collect import collect, require_own
from pirig.demos.manifest import DemosManifest
from pirig.demos.maniskill import disturb
from pirig.demos.maniskill.planner import PLANNING_MODE, RecordingEnv, find_solver, plan
from pirig.demos.maniskill.replay import open_simulators, replay
from pirig.files.identity import Identity
from pirig.sim.door import State
from pirig.sim.maniskill.env import takes_start_spread


def generate(contract: Contract, task: TaskConfig, demos: DemosConfig, folder: Path) -> DemosManifest:
    """Fills `folder` with `demos.count` successful episodes. Resumes where a killed call stopped.

    Demos of the same scenes in data sets beside this one are taken over.

    Raises ValueError where no solver is known, the folder belongs to another contract, or too few seeds succeeded.
    """
    limit = demos.max_tries or 4 * demos.count
    seeds = list(range(demos.first_seed, demos.first_seed + limit))
    source = PlannerSource(contract, task, demos)
    asked = asked_of(contract, source.name, demos)
    require_own(contract, folder)
    if not identity.is_complete(asked, folder):
        find_solver(task)  # before anything is written; what is whole needs no planner
    return collect(contract, source, seeds, demos.count, demos.workers, folder, asked)


def asked_of(contract: Contract, source: str, demos: DemosConfig) -> Identity:
    """What decides planned demos; another version of ManiSkill may plan otherwise."""
    planner = f"mani_skill {version('mani_skill')}"
    settings = {"first_seed": demos.first_seed, "labels": demos.labels, "planner": planner}
    return identity.asked_of(contract, source, demos.count, settings)


def planned_by(task: TaskConfig, demos: DemosConfig) -> str:
    return f"motion planner {task.solver}, last pose held for {task.hold_steps} steps{starts.told(demos)}"


class PlannerSource:
    """Plans where the demos start, and records in a simulator whose resets are the evaluation's: where the two differ, an
    episode holds the state that it starts from."""

    def __init__(self, contract: Contract, task: TaskConfig, demos: DemosConfig):
        self.contract, self.task, self.demos = contract, task, demos
        self.name = planned_by(task, demos)
        self.planning: Any = None

    def open(self) -> None:
        self.solver = find_solver(self.task)
        spread_rad = self.demos.start_spread_rad
        self.planning, self.sim = open_simulators(self.contract, PLANNING_MODE, start_spread_rad=spread_rad)
        self.spread_rad = 0.0 if takes_start_spread(self.contract.env_id) else spread_rad

    def episode(self, seed: int) -> dict[str, np.ndarray] | None:
        planned = self._plan(seed)
        if planned is None:
            return None
        targets, start = planned
        if len(targets) < starts.LEAST_STEPS:
            return None
        return replay(self.contract, self.planning, self.sim, targets, seed, labels=self.demos.labels, start=start)

    def _recorder(self) -> RecordingEnv:
        return RecordingEnv(self.planning, spread_rad=self.spread_rad)

    def _plan(self, seed: int) -> tuple[np.ndarray, State | None] | None:
        """Targets, and the state that they start from where a reset to the seed is another one."""
        hold_steps = self.task.hold_steps
        if starts.is_disturbed(seed, self.demos.disturb):
            return disturb.plan_after_push(self.solver, self._recorder, seed, hold_steps, self.demos.disturb_rad)
        if starts.is_disturbed(seed, self.demos.disturb_held, starts.HELD_PUSH_DRAWS):
            push_rad = self.demos.disturb_held_rad
            return disturb.back_after_held_push(self.solver, self._recorder, seed, hold_steps, push_rad)
        recorder = self._recorder()
        targets = plan(self.solver, recorder, seed, hold_steps)
        if targets is None:
            return None
        return targets, recorder.start if self.demos.start_spread_rad else None
