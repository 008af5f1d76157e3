"""What can drive an episode: a policy that looks every few steps, or the actions of a demo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from pirig.config.number_rules import too_late
from pirig.contract import Contract
from pirig.datasets.lerobot.read import Dataset
from pirig.evaluation.rollouts import Request
from pirig.policies.underway import Underway
from pirig.sim.door import Observation
from pirig.transforms.pipeline import Pipeline


class Acts(Protocol):
    """A policy, here (`policies.policy.Policy`) or behind a socket (`policies.remote.RemotePolicy`)."""

    horizon: int
    noise_shape: tuple[int, int]
    batch_size: int
    blends: bool  # whether it takes a chunk that is underway

    def infer(
        self,
        observations: Sequence[Observation],
        noise: np.ndarray,
        prompts: Sequence[str] | None = None,
        *,
        underway: Sequence[Underway | None] | None = None,
    ) -> np.ndarray: ...


class PolicyDriver:
    """Executes the first `execute` actions of every chunk, then looks again.

    With `ensemble` above 0 a step is the mean of all chunks that foresaw it, each older one with that much of the next newer
    one's weight (temporal ensembling: Zhao et al. 2023, arXiv:2304.13705, whose weights hardly fall).
    With `delay` above 0 a chunk is there so many steps after its look, as on an arm that does not wait: until then the last chunk
    goes on, and the new one's first `delay` actions are passed over. The first chunk is waited for: nothing moves yet. With `rtc`
    the policy is told what is underway and goes on from it (real-time chunking).
    Each request is answered with its scene's sentence, or with what `told` has in its place. The noise of a chunk depends on
    (noise_seed, scene, number of the chunk) and on nothing else.
    """

    looks = True

    def __init__(
        self,
        policy: Acts,
        *,
        execute: int,
        noise_seed: int,
        ensemble: float = 0.0,
        delay: int = 0,
        rtc: bool = False,
        told: Mapping[str, str] = {},
    ):
        if not 1 <= execute <= policy.horizon:
            raise ValueError(
                f"eval.execute={execute}: the policy predicts {policy.horizon} steps; choose 1 to {policy.horizon}."
            )
        if wrong := too_late(delay, execute, policy.horizon):
            raise ValueError(wrong)
        if rtc and not policy.blends:
            raise ValueError(
                "eval.rtc=true: this server takes no chunk that is underway; serve it with serve.rtc=true, or leave eval.rtc out."
            )
        self.policy, self.execute, self.noise_seed, self.ensemble = policy, execute, noise_seed, ensemble
        self.delay, self.rtc, self.told = delay, rtc, told
        self.foreseen: dict[
            int, list[np.ndarray]
        ] = {}  # by scene: of each earlier chunk what is not executed yet, newest first
        self.underway: dict[int, Underway] = {}  # by scene: what goes on while its next chunk is computed
        self.max_requests = policy.batch_size

    def forget(self, scene: int) -> None:
        """What its earlier chunks foresaw: an episode begins, or somebody else has acted."""
        self.foreseen.pop(scene, None)
        self.underway.pop(scene, None)

    def act(self, requests: Sequence[Request]) -> list[np.ndarray]:
        for request in requests:
            if request.chunk == 0:
                self.forget(request.scene)
        noise = np.stack([self._noise(request) for request in requests])
        observations = [request.observation for request in requests if request.observation is not None]
        prompts = [self.told.get(request.prompt, request.prompt) for request in requests]
        told = prompts if all(prompts) else None  # a simulator without sentences: the contract's
        underway = [self.underway.get(request.scene) for request in requests]
        more = {"underway": underway} if self.rtc else {}
        chunks = self.policy.infer(observations, noise, told, **more)
        if self.ensemble:
            return [self._together(request, chunk) for request, chunk in zip(requests, chunks, strict=True)]
        return [
            self._in_time(request, chunk, earlier)
            for request, chunk, earlier in zip(requests, chunks, underway, strict=True)
        ]

    def _in_time(self, request: Request, chunk: np.ndarray, earlier: Underway | None) -> np.ndarray:
        """What is executed until the next look."""
        if left := len(chunk) - self.execute:
            self.underway[request.scene] = Underway(chunk[self.execute :], min(self.delay, left))
        if earlier is None or not self.delay:
            return chunk[: self.execute]
        return np.concatenate([earlier.actions[: self.delay], chunk[self.delay : self.execute]])

    def _together(self, request: Request, chunk: np.ndarray) -> np.ndarray:
        chunks = [chunk, *self.foreseen.get(request.scene, [])]
        total, weights = np.zeros((self.execute, chunk.shape[1])), np.zeros((self.execute, 1))
        for age, foreseen in enumerate(chunks):
            count = min(len(foreseen), self.execute)
            total[:count] += self.ensemble**age * foreseen[:count]
            weights[:count] += self.ensemble**age
        left = [foreseen[self.execute :] for foreseen in chunks]
        self.foreseen[request.scene] = [foreseen for foreseen in left if len(foreseen)]
        return (total / weights).astype(np.float32)

    def _noise(self, request: Request) -> np.ndarray:
        return noise_of(self.noise_seed, request.scene, request.chunk, self.policy.noise_shape)


def exchanged(contract: Contract) -> dict[str, str]:
    """Each task's sentence -> the next task's, the last one's -> the first one's."""
    prompts = [scene.prompt for scene in contract.scenes]
    return dict(zip(prompts, prompts[1:] + prompts[:1], strict=True))


def noise_of(noise_seed: int, scene: int, chunk: int, shape: tuple[int, int]) -> np.ndarray:
    """f32 of this shape, for the chunk of this number in a scene's episode."""
    return np.random.default_rng([noise_seed, scene, chunk]).standard_normal(shape, np.float32)


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
