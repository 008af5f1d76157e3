"""Closed-loop episodes over a pool of simulators: whoever waits for actions is served in one batched policy call."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pirig.evaluation.results import EpisodeResult, ResultsFile
from pirig.evaluation.workers import Pool, Progressed
from pirig.files.progress import Progress
from pirig.sim.door import Observation, State


@dataclass(frozen=True)
class Request:
    """One simulator that waits for its next action chunk. `observation` is None for drivers that do not look.

    `prompt` is the scene's.
    """

    scene: int
    chunk: int
    observation: Observation | None
    prompt: str = ""


class Driver(Protocol):
    """What decides: a policy, or recorded actions."""

    looks: bool  # whether it needs observations (and so rendering)
    max_requests: int  # at most so many requests in one call

    def act(self, requests: Sequence[Request]) -> list[np.ndarray]:
        """For each request the actions [k, action_dim] to execute next; an empty array ends the episode."""
        ...


@dataclass
class _Running:
    scene: int
    started_s: float
    executed: list[np.ndarray]
    steps: int = 0


def roll_out(
    pool: Pool,
    driver: Driver,
    scenes: Sequence[int],
    *,
    max_steps: int,
    results: ResultsFile,
    label: str,
    starts: Mapping[int, State] | None = None,
) -> None:
    """Runs the episodes that `results` lacks. Which simulator runs which, and when, does not change any result.

    `starts`: of the scenes that begin elsewhere than a reset to them does.
    """
    begins = starts or {}
    todo = iter([scene for scene in scenes if scene not in results.done])
    left = sum(scene not in results.done for scene in scenes)
    if not left:
        return
    running: dict[int, _Running] = {}
    with Progress(label, len(scenes), done=len(scenes) - left) as progress:
        for worker in range(pool.count):
            _start_next(pool, worker, todo, running, driver.looks, begins)
        while running:
            for batch in _split(pool.next_ready(list(running)), driver.max_requests):
                _serve(pool, driver, batch, running, max_steps)
                for worker, episode in batch:
                    if worker in running and episode.done:
                        results.add(*_finish(running.pop(worker), episode))
                        k = sum(result.success for result in results.done.values())
                        progress.advance(1, f"{k} of {len(results.done)} succeeded")
                        _start_next(pool, worker, todo, running, driver.looks, begins)


def _start_next(
    pool: Pool,
    worker: int,
    todo: Iterator[int],
    running: dict[int, _Running],
    looks: bool,
    begins: Mapping[int, State],
) -> None:
    scene = next(todo, None)
    if scene is not None:
        pool.start(worker, scene, look=looks, state=begins.get(scene))
        running[worker] = _Running(scene, time.monotonic(), [])


def _split(answers: list[tuple[int, Progressed]], size: int) -> Iterator[list[tuple[int, Progressed]]]:
    for start in range(0, len(answers), size):
        yield answers[start : start + size]


def _serve(
    pool: Pool,
    driver: Driver,
    batch: list[tuple[int, Progressed]],
    running: dict[int, _Running],
    max_steps: int,
) -> None:
    """One driver call for the episodes that go on; an episode without further actions is marked done."""
    waiting = [(worker, episode) for worker, episode in batch if not episode.done]
    requests = [
        Request(episode.scene, len(running[worker].executed), episode.observation, episode.prompt)
        for worker, episode in waiting
    ]
    for (worker, episode), actions in zip(waiting, driver.act(requests) if requests else [], strict=True):
        if len(actions) == 0:
            episode.done = True
            continue
        running[worker].executed.append(actions)
        pool.run(worker, actions, max_steps=max_steps, look=driver.looks)


def _finish(running: _Running, episode: Progressed) -> tuple[EpisodeResult, np.ndarray]:
    result = EpisodeResult(
        scene=running.scene,
        success=episode.first_success >= 0,
        success_at_end=episode.success_now,
        first_success=episode.first_success,
        steps=episode.steps,
        seconds=round(time.monotonic() - running.started_s, 3),
        flags=dict(episode.flags),
        came_down_m=episode.came_down_m,
    )
    return result, np.concatenate(running.executed)[: episode.steps]
