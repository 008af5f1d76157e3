"""Episodes stepped again, with sub-goals and the whole state after every step; by several processes, each with a simulator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

import numpy as np

from pirig.contract import Contract
from pirig.files.progress import Progress
from pirig.improving.lost import SUCCESS, Timeline
from pirig.sim.door import Implementation, Simulator, State, place_of
from pirig.sim.processes import SimulatorProcess


@dataclass(frozen=True)
class Acted:
    """`actions` f32 [T, action_dim] from a reset to `scene`, or from `start` in it."""

    scene: int
    actions: np.ndarray
    start: State | None = None


@dataclass(frozen=True)
class Watched:
    """`states`: after each step."""

    scene: int
    timeline: Timeline
    states: list[State]


def watched(contract: Contract, episodes: list[Acted], workers: int, label: str) -> Iterator[Watched]:
    """In the order in which they are done."""
    return answered(contract, episodes, workers, label, _opened, contract)


def answered(
    contract: Contract,
    episodes: Sequence[Any],
    workers: int,
    label: str,
    opened: Callable[..., Callable[[Any], Any]],
    *arguments: Any,
) -> Iterator[Any]:
    """What `opened(implementation, *arguments)` gives for each episode, by several processes with a simulator each; in the order
    in which they are done."""
    todo, running = iter(episodes), set[int]()
    count = min(workers, len(episodes))
    place = place_of(contract)
    processes = [SimulatorProcess(f"watching-{number}", place, opened, *arguments) for number in range(count)]
    try:
        with Progress(label, len(episodes)) as progress:
            for number in range(count):
                _next(processes[number], number, todo, running)
            while running:
                wait([processes[number].pipe for number in running])
                for number in [number for number in running if processes[number].pipe.poll()]:
                    answer = processes[number].receive()
                    running.remove(number)
                    _next(processes[number], number, todo, running)
                    progress.advance()
                    yield answer
    finally:
        for process in processes:
            process.pipe.close()
        for process in processes:
            process.close()


def _next(process: SimulatorProcess, number: int, todo: Iterator[Any], running: set[int]) -> None:
    episode = next(todo, None)
    if episode is not None:
        process.send(episode)
        running.add(number)


def _opened(implementation: Implementation, contract: Contract) -> Callable[[Acted], Watched]:
    sim = implementation.open(contract)
    return lambda episode: watch(sim, episode)


def watch(sim: Simulator, episode: Acted) -> Watched:
    sim.reset(episode.scene, episode.start)
    flags: list[dict[str, bool]] = []
    states: list[State] = []
    for action in episode.actions:
        info = sim.step(action)
        flags.append({**info.flags, SUCCESS: info.success})
        states.append(sim.state())
    return Watched(episode.scene, timeline_of(flags), states)


def timeline_of(flags: Iterable[dict[str, bool]]) -> Timeline:
    rows = list(flags)
    return {
        name: np.array([row.get(name, False) for row in rows], bool) for name in (rows[0] if rows else {SUCCESS: False})
    }
