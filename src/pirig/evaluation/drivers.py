"""What can drive an episode: a policy that looks every few steps, or the actions of a demo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from pirig.datasets.lerobot_read import Dataset
from pirig.evaluation.rollouts import Request
from pirig.sim.door import Observation
from pirig.transforms.pipeline import Pipeline


class Acts(Protocol):
    """A policy, here (`policies.policy.Policy`) or behind a socket (`policies.remote.RemotePolicy`)."""

    horizon: int
    noise_shape: tuple[int, int]
    batch_size: int

    def infer(
        self, observations: Sequence[Observation], noise: np.ndarray, prompts: Sequence[str] | None = None
    ) -> np.ndarray: ...


class PolicyDriver:
    """Executes the first `execute` actions of every chunk, then looks again.

    With `ensemble` above 0 a step is the mean of all chunks that foresaw it, each older one with that much of the next newer
    one's weight (temporal ensembling: Zhao et al. 2023, arXiv:2304.13705, whose weights hardly fall).
    Each request is answered with its scene's sentence. The noise of a chunk depends on (noise_seed, scene, number of the
    chunk) and on nothing else.
    """

    looks = True

    def __init__(self, policy: Acts, *, execute: int, noise_seed: int, ensemble: float = 0.0):
        if not 1 <= execute <= policy.horizon:
            raise ValueError(
                f"eval.execute={execute}: the policy predicts {policy.horizon} steps; choose 1 to {policy.horizon}."
            )
        self.policy, self.execute, self.noise_seed, self.ensemble = policy, execute, noise_seed, ensemble
        self.foreseen: dict[
            int, list[np.ndarray]
        ] = {}  # by scene: of each earlier chunk what is not executed yet, newest first
        self.max_requests = policy.batch_size

    def act(self, requests: Sequence[Request]) -> list[np.ndarray]:
        noise = np.stack([self._noise(request) for request in requests])
        observations = [request.observation for request in requests if request.observation is not None]
        prompts = [request.prompt for request in requests]
        told = prompts if all(prompts) else None  # a simulator without sentences: the contract's
        chunks = self.policy.infer(observations, noise, told)
        if not self.ensemble:
            return list(chunks[:, : self.execute])
        return [self._together(request, chunk) for request, chunk in zip(requests, chunks, strict=True)]

    def _together(self, request: Request, chunk: np.ndarray) -> np.ndarray:
        earlier = self.foreseen.get(request.scene, []) if request.chunk else []
        chunks = [chunk, *earlier]
        total, weights = np.zeros((self.execute, chunk.shape[1])), np.zeros((self.execute, 1))
        for age, foreseen in enumerate(chunks):
            count = min(len(foreseen), self.execute)
            total[:count] += self.ensemble**age * foreseen[:count]
            weights[:count] += self.ensemble**age
        left = [foreseen[self.execute :] for foreseen in chunks]
        self.foreseen[request.scene] = [foreseen for foreseen in left if len(foreseen)]
        return (total / weights).astype(np.float32)

    def _noise(self, request: Request) -> np.ndarray:
        random = np.random.default_rng([self.noise_seed, request.scene, request.chunk])
        return random.standard_normal(self.policy.noise_shape, np.float32)


class DemoDriver:
    """The demo-replay oracle: the data set's own actions through the policy's output path, scene by scene."""

    looks = False

    def __init__(self, actions: Mapping[int, np.ndarray]):
        self.actions = actions
        self.max_requests = len(actions) or 1

    def act(self, requests: Sequence[Request]) -> list[np.ndarray]:
        return [self.actions[request.scene] if request.chunk == 0 else np.empty((0, 0)) for request in requests]


def demo_actions(dataset: Dataset, pipeline: Pipeline | None, episode: int) -> np.ndarray:
    """f32 [T, action_dim]; with a pipeline, normalised and back as a policy's are."""
    rows = dataset.episode_rows(episode)
    actions, state = dataset.actions[rows], dataset.state[rows]
    if pipeline is None:
        return actions
    return pipeline.env_actions(pipeline.model_actions(actions[:, None], state), state)[:, 0]
