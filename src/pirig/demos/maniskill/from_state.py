"""The planner solves a task from a state that something else brought about: a policy that lost its way, say."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from pirig.config.schema import TaskConfig
from pirig.contract import Contract
from pirig.demos.maniskill.planner import PLANNING_MODE, RecordingEnv, find_solver, plan
from pirig.demos.maniskill.replay import open_simulators, replay
from pirig.demos.maniskill.retreat import retreat
from pirig.sim.door import Simulator, State, open_simulator
from pirig.sim.maniskill.batches import batched
from pirig.sim.maniskill.states import as_maniskill


class PlannerFromState:
    """See `demos.door.Expert`. A planner opens the gripper while it sets off: an object in the hand would fall."""

    def __init__(self, contract: Contract, task: TaskConfig, labels: bool):
        self.contract, self.task, self.labels = contract, task, labels
        self.name = (
            f"motion planner {task.solver} from where a policy was, or after going back to the start, last pose held for "
            f"{task.hold_steps} steps"
        )
        self.planning: Any = None
        self.other: Simulator | None = None

    def require(self) -> None:
        find_solver(self.task)

    def open(self) -> None:
        self.solver = find_solver(self.task)
        self.planning, self.sim = open_simulators(self.contract, PLANNING_MODE)

    def solve(self, scene: int, state: State) -> dict[str, np.ndarray] | None:
        """At once; where that fails the arm goes back to where the scene begins, and it is solved from there."""
        for goes_back in (False, True):
            recorder = self._begun(scene, state, goes_back)
            if recorder is None or (targets := self._plan(recorder, scene)) is None:
                continue
            start = recorder.start
            episode = replay(self.contract, self.planning, self.sim, targets, scene, labels=self.labels, start=start)
            if episode is not None and self._succeeds_again(scene, start, episode["actions"]):
                return episode
        return None

    def _succeeds_again(self, scene: int, start: State, actions: np.ndarray) -> bool:
        """From the kept state alone, as gates and the oracle will ask: contacts are in no state, and may have carried it."""
        self.other = self.other or open_simulator(self.contract)
        self.other.reset(scene, start)
        return [self.other.step(action).success for action in actions][-1]

    def _begun(self, scene: int, state: State, goes_back: bool) -> RecordingEnv | None:
        self.planning.reset(seed=scene, options={"reconfigure": True})
        rest = batched(self.planning.unwrapped.agent.robot.get_qpos())[0]
        self.planning.reset(seed=scene, options={"reset_to_env_states": {"env_states": as_maniskill([state])}})
        recorder = RecordingEnv(self.planning, goes_on=True)
        recorder.reset()
        return recorder if not goes_back or retreat(recorder, rest) else None

    def _plan(self, recorder: RecordingEnv, scene: int) -> np.ndarray | None:
        try:
            return plan(self.solver, recorder, scene, self.task.hold_steps)
        except Exception as error:  # of somebody else's solver, in a state that its author never thought of
            said = f"scene {scene}: {self.task.solver} stopped there: {type(error).__name__}: {error}"
            print(f"{said}; left out if it stops from the start too", file=sys.stderr, flush=True)
            return None
