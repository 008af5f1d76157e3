"""ManiSkill's motion planner, run by us: one episode of joint targets per seed."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np

from pirig.config.schema import TaskConfig
from pirig.demos.starts import spread_of
from pirig.sim.door import State
from pirig.sim.maniskill.batches import batched
from pirig.sim.maniskill.env import success_of
from pirig.sim.maniskill.states import state_of

PLANNING_MODE = "pd_joint_pos"
FINGERS = 2  # the last joints of a Panda


class RecordingEnv:
    """What the solvers see: an environment whose actions are kept, and which is evaluated when `success` is asked.

    With `goes_on` a solver's reset leaves the scene as it stands, so it plans from there; what was done before is kept, and
    `start` stays where that began. `spread_rad`: noise on the arm's first joints that comes on top of the task's own.
    """

    def __init__(self, env: Any, *, goes_on: bool = False, spread_rad: float = 0.0):
        self.env, self.unwrapped, self.goes_on, self.spread_rad = env, env.unwrapped, goes_on, spread_rad
        self.actions: list[np.ndarray] = []
        self.start: State = {}

    def reset(self, seed: int | None = None, **_: Any) -> Any:
        if self.goes_on:
            self.start = self.start or state_of(self.unwrapped)
            return None
        self.actions = []
        answer = self.env.reset(seed=seed, options={"reconfigure": True})
        if self.spread_rad:
            self._spread(seed or 0)
        self.start = state_of(self.unwrapped)
        return answer

    def _spread(self, seed: int) -> None:
        import torch

        agent = self.unwrapped.agent
        joints = batched(agent.robot.get_qpos())
        joints[0, :-FINGERS] += spread_of(seed, joints.shape[1] - FINGERS, self.spread_rad)
        agent.robot.set_qpos(torch.as_tensor(joints, dtype=torch.float32))
        agent.controller.reset()

    def step(self, action: np.ndarray) -> Any:
        self.unwrapped.evaluate = dict  # no solver asks, and a plan costs a third less
        try:
            result = self.env.step(action)
        finally:
            del self.unwrapped.evaluate
        self.actions.append(np.asarray(action, np.float32))
        return result

    @property
    def success(self) -> bool:
        return success_of(self.unwrapped.evaluate())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.env, name)


def find_solver(task: TaskConfig) -> Any:
    """Raises ValueError naming the solvers that ManiSkill has, or the numpy that its planner cannot live with."""
    require_numpy_1()
    from mani_skill.examples.motionplanning.panda import solutions

    known = sorted(name for name in dir(solutions) if name.startswith("solve"))
    if task.solver not in known:
        raise ValueError(
            f"task={task.name}: solver {task.solver!r} is none of ManiSkill's planners ({', '.join(known)}); "
            "name one in conf/task, or give a trajectory file with demos.path=..."
        )
    return getattr(solutions, task.solver)


def require_numpy_1() -> None:
    if int(np.__version__.split(".")[0]) >= 2:
        raise ValueError(
            f"numpy {np.__version__}: the motion planner (mplib 0.1.1) crashes with numpy 2; "
            "install 'numpy<2' to plan demos (training runs with either)."
        )


def plan(solver: Any, recorder: RecordingEnv, seed: int, hold_steps: int) -> np.ndarray | None:
    """Joint targets f32 [T, 8] of a successful plan, or None. `hold_steps` repeats the last target with an open gripper."""
    with contextlib.redirect_stdout(io.StringIO()):
        result = solver(recorder, seed=seed, debug=False, vis=False)
    if not recorder.actions or (isinstance(result, int) and result == -1):
        return None
    for _ in range(hold_steps):
        recorder.step(np.concatenate([recorder.actions[-1][:-1], [1.0]]))
    return np.stack(recorder.actions) if recorder.success else None
