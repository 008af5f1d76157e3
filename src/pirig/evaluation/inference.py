"""A policy of one task, asked on a frame of its data set and on nothing (zeros): what goes in and comes out, how fast."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from pirig.datasets.lerobot.read import Dataset
from pirig.policies.policy import Policy
from pirig.transforms.pipeline import Pipeline

REPEATS = 5
Inputs = tuple[dict[str, np.ndarray], np.ndarray]  # images u8 [1, H, W, 3] by role, state [1, state_dim]


def looks(dataset: Dataset) -> dict[str, Inputs]:
    """Zeros, and the first frame of the middle episode."""
    row = dataset.offsets[len(dataset.offsets) // 2]
    images = {role: dataset.image(role, row)[None] for role in dataset.roles}
    return _beside_zeros(f"frame {row}", (images, dataset.state[row : row + 1]))


def made_up_looks(pipeline: Pipeline) -> dict[str, Inputs]:
    """For a checkpoint without its data set: zeros, and noise in the cameras with the mean state of the training."""
    random, contract = np.random.default_rng(0), pipeline.contract
    sizes = {camera.role: (1, camera.height_px, camera.width_px, 3) for camera in contract.cameras}
    images = {role: random.integers(0, 256, size, dtype=np.uint8) for role, size in sizes.items()}
    state = np.asarray(pipeline.stats["state"].mean, np.float32)[None]
    return _beside_zeros("noise", (images, state))


def _beside_zeros(name: str, shown: Inputs) -> dict[str, Inputs]:
    nothing = {role: np.zeros_like(image) for role, image in shown[0].items()}
    return {"zeros": (nothing, np.zeros_like(shown[1])), name: shown}


def learned(policy: Policy, inputs: Inputs) -> np.ndarray:
    """A chunk [horizon, action_dim] as the policy learned it: a state that is only added back shows nothing of what it sees.
    The noise is the same for all inputs."""
    return policy.pipeline.learned(policy.predict(*inputs, _noise(policy))[0], inputs[1][0])


def _noise(policy: Policy) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((1, *policy.noise_shape)).astype(np.float32)


def report(policy: Policy, dataset: Dataset) -> Iterator[str]:
    """Shapes, ranges and milliseconds, a line as soon as it is known."""
    yield from _of_looks(policy, looks(dataset))
    yield f"{'demos':11} {_described(dataset.actions)} demonstrated actions"


def report_alone(policy: Policy) -> Iterator[str]:
    """As `report`, without a data set."""
    return _of_looks(policy, made_up_looks(policy.pipeline))


def _of_looks(policy: Policy, both: dict[str, Inputs]) -> Iterator[str]:
    *_, shown = both.values()
    yield from _inputs(policy, shown)
    for name, inputs in both.items():
        yield _timed(policy, inputs, name)


def _inputs(policy: Policy, shown: Inputs) -> Iterator[str]:
    fed = policy.model_inputs(*shown)
    for role, image in fed.images.items():
        yield f"{'image':11} {_described(np.asarray(image))} {role}"
    yield f"{'state':11} {_described(np.asarray(fed.state))} as the model reads it"
    yield f"{'tokens':11} {int(np.asarray(fed.token_mask).sum())} of {fed.tokens.shape[1]}"


def _timed(policy: Policy, inputs: Inputs, name: str) -> str:
    """The first call apart, since it may compile."""
    noise, spent_ms = _noise(policy), []
    for _ in range(1 + REPEATS):
        started_s = time.perf_counter()
        actions = policy.predict(*inputs, noise)[0]
        spent_ms.append(1e3 * (time.perf_counter() - started_s))
    times = f"first call {spent_ms[0]:.0f} ms, then {min(spent_ms[1:]):.1f} ms"
    return f"{name:11} {_described(actions)} actions, {times}"


def _described(values: np.ndarray) -> str:
    return f"{values.dtype} {list(values.shape)}, {values.min():.4g} to {values.max():.4g},"
