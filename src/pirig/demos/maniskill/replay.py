"""Replay of joint-space plans in the contract's control mode, with cameras. A failed replay leaves nothing behind."""

from __future__ import annotations

from typing import Any

import numpy as np

from pirig.contract import Contract
from pirig.demos.manifest import IMAGE, LABEL, START
from pirig.demos.maniskill.planner import PLANNING_MODE
from pirig.sim.door import State
from pirig.sim.maniskill import renderer
from pirig.sim.maniskill.env import SimEnv, make_env
from pirig.sim.maniskill.states import as_maniskill

PLANNING_DIM = 8  # seven joint angles (rad) and the gripper
# Of reinforcement learning, mostly, by their width: changes from where the joints or the tool are, or were to be.
DELTA_MODES = {
    "pd_joint_delta_pos": PLANNING_DIM,
    "pd_joint_target_delta_pos": PLANNING_DIM,
    "pd_ee_delta_pos": 4,
}


def replayable(control_mode: str) -> dict[str, int]:
    """The modes that can be replayed in this one, each with the width of its actions."""
    return {PLANNING_MODE: PLANNING_DIM} | (DELTA_MODES if "ee" in control_mode else {})


def open_simulators(contract: Contract, source_mode: str, *, start_spread_rad: float = 0.0) -> tuple[Any, SimEnv]:
    """(an environment in the source's control mode that never renders, the contract's own) for this process.

    `start_spread_rad`: how the first joints of the former spread, 0: as the task's own.
    """
    return open_source(contract, source_mode, start_spread_rad=start_spread_rad), open_own(contract)


def open_source(contract: Contract, source_mode: str, *, start_spread_rad: float = 0.0) -> Any:
    """The former of `open_simulators`."""
    renderer.configure()
    renderer.limit_threads()
    return make_env(contract, control_mode=source_mode, render=False, start_spread_rad=start_spread_rad)


def open_own(contract: Contract) -> SimEnv:
    """The latter of `open_simulators`."""
    renderer.configure()
    renderer.limit_threads()
    return SimEnv(contract)


class Recorder:
    """Stands for the target environment in ManiSkill's action converter: looks, then steps, and keeps both."""

    def __init__(self, sim: SimEnv, labels: bool = False):
        self.sim, self.unwrapped, self.labels = sim, sim.base, labels
        self.frames: list[dict[str, np.ndarray]] = []
        self.actions: list[np.ndarray] = []
        self.success = False

    def step(self, action: Any) -> Any:
        self.frames.append(self._frame())
        array = np.asarray(action.cpu() if hasattr(action, "cpu") else action, np.float32).reshape(-1)
        self.actions.append(array)
        self.success = self.sim.step(array).success
        return None, 0.0, False, False, {"success": self.success}

    def _frame(self) -> dict[str, np.ndarray]:
        labels = {f"{LABEL}{name}": value for name, value in self.sim.labels().items()} if self.labels else {}
        if not self.sim.render:
            return self.sim.sense() | labels
        shown = self.sim.observe()
        return {**shown.numbers, **{f"{IMAGE}{role}": image for role, image in shown.images.items()}, **labels}

    def episode(self, seed: int) -> dict[str, np.ndarray]:
        """Frame t is what was seen before action t."""
        stacked = {name: np.stack([frame[name] for frame in self.frames]) for name in self.frames[0]}
        actions = in_range(self.sim, np.stack(self.actions))
        return {**stacked, "actions": actions, "seed": np.int64(seed), "success": np.bool_(self.success)}


class Targets:
    """Stands for the source environment in ManiSkill's action converter, which reads its controller's targets and no more.

    So an action is set and nothing is simulated.
    """

    def __init__(self, env: Any):
        self.unwrapped = env.unwrapped

    def step(self, action: Any) -> None:
        import torch

        self.unwrapped.agent.set_action(torch.as_tensor(action)[None])


class Driven:
    """As `Targets`, of a mode whose targets follow from where the arm is: its actions are simulated."""

    def __init__(self, env: Any):
        self.unwrapped, self.step = env.unwrapped, env.step


def in_range(sim: SimEnv, actions: np.ndarray) -> np.ndarray:
    """What the controller makes of actions [T, A]: one whose range is -1 to 1 clips them to it."""
    space = sim.env.action_space
    normalised = np.all(space.low == -1.0) and np.all(space.high == 1.0)
    return np.clip(actions, -1.0, 1.0) if normalised else actions


def replay(
    contract: Contract,
    source_env: Any,
    sim: SimEnv,
    actions: np.ndarray,
    seed: int,
    source_mode: str = PLANNING_MODE,
    *,
    labels: bool = False,
    start: State | None = None,
) -> dict[str, np.ndarray] | None:
    """The episode of these actions in the contract's control mode, or None where the replay does not end in success.

    `actions` [T, A] are in `source_mode` (PLANNING_MODE, one of DELTA_MODES or the contract's); the controller of `source_env`
    (that mode, same robot; not asked where it is the contract's mode) says what they aim at.
    `start`: the state that they start from, kept in the episode; None: that of a reset to the seed.
    """
    recorder = Recorder(sim, labels)
    sim.reset(seed, start)
    if contract.control_mode == source_mode:
        for action in actions:
            recorder.step(action)
    else:
        from mani_skill.trajectory.utils.actions import conversion

        source_env.reset(seed=seed, options={"reconfigure": True})
        if start is not None:
            source_env.reset(seed=seed, options={"reset_to_env_states": {"env_states": as_maniskill([start])}})
        source = Targets(source_env) if source_mode == PLANNING_MODE else Driven(source_env)
        conversion.from_pd_joint_pos(contract.control_mode, actions, source, recorder)
    if not recorder.success:
        return None
    return recorder.episode(seed) | {f"{START}{name}": part for name, part in (start or {}).items()}
