"""Faults that no gate can see, since nothing is broken: `pirig diagnose` ranks them first, from its own measurements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pirig.diagnosis import parity, teacher_forced
from pirig.diagnosis.causes import ranked
from pirig.diagnosis.evidence import Evidence, History, Outcome
from pirig.evaluation.open_loop import OpenLoop
from pirig.evaluation.rollouts import Request
from tests.faults.faults import fault

FRAMES = 16


def first_cause(**measured: Any) -> list[str]:
    evidence = Evidence(
        "1000", history=History(10, 1.0), action_names="dx dy dz drx dry drz gripper".split(), **measured
    )
    return [f"{cause.says}: {cause.numbers}" for cause in ranked(evidence)[:1]]


def open_loop(good: Any, dataset: Any, predict: Any, label: str = "test") -> OpenLoop:
    shape = (good.card.horizon, good.pipeline.model_config.action_dim)
    return OpenLoop(predict, dataset, good.open_images(), noise_shape=shape, batch_size=8)


def rows_of(dataset: Any, episodes: Sequence[int]) -> np.ndarray:
    return np.concatenate([np.arange(dataset.frame_count)[dataset.episode_rows(one)] for one in episodes])


class Memory:
    """A policy that has learned its training frames by heart: the chunk of the nearest one, by pixels and joints."""

    def __init__(self, good: Any, dataset: Any, episodes: Sequence[int], *, looks: bool = True):
        self.dataset, self.rows, self.looks = dataset, rows_of(dataset, episodes), looks
        self.images, self.horizon = good.open_images(), good.card.horizon
        self.last = np.repeat(np.cumsum(dataset.lengths) - 1, dataset.lengths)

    def predict(self, images: dict[str, np.ndarray], state: np.ndarray, noise: np.ndarray) -> np.ndarray:
        apart = ((state[:, None] - self.dataset.state[self.rows][None]) ** 2).sum(axis=-1)
        for role, seen in images.items() if self.looks else ():
            known = self.images[role][self.rows][:, ::4, ::4].astype(np.float32) / 255
            new = seen[:, ::4, ::4].astype(np.float32) / 255
            apart += np.stack([((known - one) ** 2).mean(axis=(1, 2, 3)) for one in new])
        nearest = self.rows[apart.argmin(axis=1)]
        steps = np.minimum(nearest[:, None] + np.arange(self.horizon), self.last[nearest][:, None])
        return self.dataset.actions[steps]


@fault("training stopped after a few steps", "diagnose", "eval, once", "under-trained.*10 steps")
def under_trained(good: Any, pool: Any) -> list[str]:
    dataset = good.open_dataset()
    loop = open_loop(good, dataset, good.policy().predict)
    everything = range(dataset.episode_count)
    errors = loop.errors(everything, rows_of(dataset, everything), FRAMES, inputs=False, label="test")
    return first_cause(training=errors)


@fault("a policy that knows its few demos by heart", "diagnose", "eval, once", "overfit.* 0% .*training")
def overfit(good: Any, pool: Any) -> list[str]:
    dataset = good.open_dataset()
    *trained, held_out = range(dataset.episode_count)
    rows = rows_of(dataset, trained)
    loop = open_loop(good, dataset, Memory(good, dataset, trained).predict)
    return first_cause(
        training=loop.errors(trained, rows, FRAMES, inputs=False, label="test"),
        held_out=loop.errors([held_out], rows, FRAMES, inputs=False, label="test"),
    )


@fault("a policy that never looks at its camera", "diagnose", "eval, once", "does not use the camera base_0_rgb")
def blind(good: Any, pool: Any) -> list[str]:
    dataset = good.open_dataset()
    everything = range(dataset.episode_count)
    loop = open_loop(good, dataset, Memory(good, dataset, everything, looks=False).predict)
    return first_cause(
        training=loop.errors(everything, rows_of(dataset, everything), FRAMES, inputs=True, label="test")
    )


@fault("a policy slower than the step limit allows", "diagnose", "eval, once", "step limit.*1 of 1 failed")
def slow(good: Any, pool: Any) -> list[str]:
    dataset = good.open_dataset()
    seed, demo = dataset.seeds[0], dataset.actions[dataset.episode_rows(0)]
    limit = len(demo)
    driver = Hesitant(demo, wait_steps=limit // 2)
    found = teacher_forced.late(pool, driver, [seed], limit)
    return first_cause(outcome=_failed(limit), late=found)


class Hesitant:
    """Stands still for a while, then does what a demo does."""

    looks, max_requests = False, 1

    def __init__(self, demo: np.ndarray, wait_steps: int):
        still = np.zeros((wait_steps, demo.shape[1]), np.float32)
        still[:, -1] = demo[0, -1]
        self.chunks = [still, demo]

    def act(self, requests: Sequence[Request]) -> list[np.ndarray]:
        return [self.chunks[one.chunk] if one.chunk < 2 else np.empty((0, 0)) for one in requests]


def _failed(limit: int) -> Outcome:
    return Outcome("", 0, 40, 0.0, 0.09, limit, 8, (20, 20), (0, 40), {}, [], [])


@fault("noise in the recorded state", "diagnose", "eval, once", "another state than training saw: noise")
def noisy_state(good: Any, pool: Any) -> list[str]:
    dataset = good.open_dataset()
    random = np.random.default_rng(0)
    dataset.state = dataset.state + random.normal(0, 0.003, dataset.state.shape).astype(np.float32)
    return first_cause(parity=[_parity(good, pool, dataset, good.open_images())])


@fault("training on an old cache of decoded frames", "diagnose", "eval, once", "other pixels of base_0_rgb")
def stale_cache(good: Any, pool: Any) -> list[str]:
    mirrored = {role: frames[:, :, ::-1] for role, frames in good.open_images().items()}
    return first_cause(parity=[_parity(good, pool, good.open_dataset(), mirrored)])


def _parity(good: Any, pool: Any, dataset: Any, images: dict[str, np.ndarray]) -> Any:
    pool.start(0, dataset.seeds[0], look=True)
    ((_, answer),) = pool.next_ready([0])
    return parity.compare(good.policy(), dataset, images, answer.observation, answer.prompt, 0, 0)
