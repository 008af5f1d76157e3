"""One ManiSkill environment with many scenes, simulated and rendered together on a GPU.

Its physics is not the CPU's, and it draws the initial states of all scenes from the first seed. So a scene takes its initial
state from the CPU's simulator, and is checked against it: a seed is the same scene in both. Whether the demos' actions still
succeed is for the gates to ask (`stages/eval.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pirig.contract import Contract
from pirig.sim.door import Observation, State, StepInfo
from pirig.sim.maniskill.batches import batched, one_scene
from pirig.sim.maniskill.env import flags_of, make_env, proprioception, render_cameras
from pirig.sim.maniskill.states import as_maniskill
from pirig.sim.maniskill.sub_goals import SubGoals

BACKEND = "physx_cuda"
APART = 1e-3  # m, rad, or a unit of a quaternion: what a scene may differ from the state that it was set to


class VectorEnv:
    """`num_envs` scenes that are reset together, stepped together and rendered together."""

    def __init__(self, contract: Contract, num_envs: int, backend: str = BACKEND):
        """Raises ValueError where there is no such GPU."""
        if missing := missing_device(backend):
            raise ValueError(missing)
        self.contract, self.num_envs = contract, num_envs
        self.env = make_env(contract, backend=backend, num_envs=num_envs)
        self.base: Any = self.env.unwrapped
        self.base.reconfiguration_freq = 0  # `reset` says when
        self.steps = 0

    def reset(self, scenes: Sequence[int], states: Sequence[State]) -> None:
        """Builds all `scenes` anew (sizes of objects) and sets their `states`."""
        self.env.reset(seed=list(scenes), options={"reconfigure": True})
        wanted = as_maniskill(states)
        self.env.reset(seed=list(scenes), options={"reset_to_env_states": {"env_states": wanted}})
        self._require_equal(wanted)
        self.sub_goals = SubGoals(self.contract.env_id, self.base)
        self.steps = 0

    def _require_equal(self, wanted: dict[str, dict[str, Any]]) -> None:
        current = self.base.get_state_dict()
        for kind, parts in wanted.items():
            for name, value in parts.items():
                apart = np.abs(_signless(kind, batched(current[kind][name])) - _signless(kind, batched(value))).max(1)
                if (apart > APART).any():
                    number = int(apart.argmax())
                    raise RuntimeError(
                        f"scene {number} of {self.num_envs}: {name} stands {apart[number]:.4f} from where the CPU's simulator "
                        f"starts (expected at most {APART}), so its episodes would not be those of its seed; use "
                        "eval.sim_backend=cpu."
                    )

    def step(self, actions: np.ndarray) -> list[StepInfo]:
        """`actions` f32 [num_envs, action_dim] in the contract's control mode. Raises ValueError on NaN or a wrong size."""
        actions = np.asarray(actions, np.float32)
        if actions.shape != (self.num_envs, self.contract.action_dim) or not np.isfinite(actions).all():
            raise ValueError(
                f"actions {actions.shape}: expected {self.num_envs} x {self.contract.action_dim} finite numbers"
            )
        _, _, _, _, info = self.env.step(actions)
        self.steps += 1
        success = batched(info["success"])
        flags, places = {**flags_of(info), **self.sub_goals.flags(info)}, range(self.num_envs)
        off_m = self.sub_goals.hand_off_m()
        across_above = [None if off_m is None else (float(off_m[place, 0]), float(off_m[place, 1])) for place in places]
        reached = [{name: bool(values[place]) for name, values in flags.items()} for place in places]
        return [StepInfo(bool(success[place]), reached[place], self.steps, across_above[place]) for place in places]

    def observe(self) -> list[Observation]:
        numbers, images = proprioception(self.base), render_cameras(self.base, self.contract)
        return [Observation(one_scene(images, place), one_scene(numbers, place)) for place in range(self.num_envs)]

    def close(self) -> None:
        self.env.close()


def missing_device(backend: str = BACKEND) -> str:
    """What to do where the backend needs a GPU and torch sees none; "" where it has what it needs."""
    import torch

    if backend != BACKEND or torch.cuda.is_available():
        return ""
    return (
        f"eval.sim_backend=gpu: torch {torch.__version__} sees no CUDA device, which ManiSkill's {BACKEND} needs; use "
        "eval.sim_backend=cpu, or run where `python -c 'import torch; print(torch.cuda.is_available())'` says True."
    )


def _signless(kind: str, states: np.ndarray) -> np.ndarray:
    """Positions, and the absolute values of the quaternions (q and -q are one rotation); an arm's joint angles besides."""
    angles = states[:, 13 : 13 + (states.shape[1] - 13) // 2] if kind == "articulations" else states[:, :0]
    return np.concatenate([states[:, :3], np.abs(states[:, 3:7]), angles], axis=1)
