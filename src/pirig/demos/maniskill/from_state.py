"""The planner solves a task from a state that something else brought about: a policy that lost its way, say."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from pirig.config.schema import TaskConfig
from pirig.contract import Contract
from pirig.demos.maniskill.planner import PLANNING_MODE, RecordingEnv, find_solver, plan
from pirig.demos.maniskill.replay import open_simulators, replay
from pirig.sim.door import State
from pirig.sim.maniskill.states import as_maniskill


class PlannerFromState:
    """See `demos.door.Expert`. A planner opens the gripper while it sets off: an object in the hand would fall."""

    def __init__(self, contract: Contract, task: TaskConfig, labels: bool):
        self.contract, self.task, self.labels = contract, task, labels
        self.name = f"motion planner {task.solver} from where a policy was, last pose held for {task.hold_steps} steps"
        self.planning: Any = None

    def require(self) -> None:
        find_solver(self.task)

    def open(self) -> None:
        self.solver = find_solver(self.task)
        self.planning, self.sim = open_simulators(self.contract, PLANNING_MODE)

    def solve(self, scene: int, state: State) -> dict[str, np.ndarray] | None:
        self.planning.reset(seed=scene, options={"reconfigure": True})
        self.planning.reset(seed=scene, options={"reset_to_env_states": {"env_states": as_maniskill([state])}})
        recorder = RecordingEnv(self.planning, goes_on=True)
        try:
            targets = plan(self.solver, recorder, scene, self.task.hold_steps)
        except Exception as error:  # of somebody else's solver, in a state that its author never thought of
            said = f"scene {scene}: {self.task.solver} stopped there: {type(error).__name__}: {error}"
            print(f"{said}; it is left out", file=sys.stderr, flush=True)
            return None
        if targets is None:
            return None
        return replay(self.contract, self.planning, self.sim, targets, scene, labels=self.labels, start=recorder.start)
