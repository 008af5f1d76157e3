"""Simulators in processes of their own, each stepping alone. A worker that dies takes the evaluation down with a reason."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import Any, Protocol

import numpy as np

from pirig.contract import Contract
from pirig.sim.door import Implementation, Observation, Simulator, State, StepInfo, group_of, place_of
from pirig.sim.processes import SimulatorProcess
from pirig.sim.sub_goals import DOWN_M

TAIL_STEPS = 10  # an episode goes on for so many steps after its first success, to see whether it lasts


@dataclass
class Progressed:
    """Where an episode stands. `observation` is the newest frame, None when nobody asked for one; `prompt` its scene's.

    `came_down_m`: how far across from the object the hand was where it first came down; None as long as it has not.
    """

    scene: int
    prompt: str = ""
    steps: int = 0
    first_success: int = -1
    success_now: bool = False
    flags: dict[str, bool] = field(default_factory=dict)
    came_down_m: float | None = None
    done: bool = False
    observation: Observation | None = None
    frames: list[np.ndarray] = field(default_factory=list)

    def add(self, info: StepInfo, max_steps: int) -> None:
        self.steps, self.success_now = info.steps, info.success
        if info.success and self.first_success < 0:
            self.first_success = info.steps
        for name, value in info.flags.items():
            self.flags[name] = self.flags.get(name, False) or value
        if self.came_down_m is None and info.hand_off_m is not None and info.hand_off_m[1] < DOWN_M:
            self.came_down_m = round(info.hand_off_m[0], 4)
        lasted = self.first_success >= 0 and info.steps >= self.first_success + TAIL_STEPS
        self.done = lasted or info.steps >= max_steps


class Pool(Protocol):
    """Simulators that run an episode each. What a worker is told to do is answered by `next_ready`."""

    count: int
    repeatable: bool  # the same actions in the same scene give the same episode, bit by bit

    def start(self, worker: int, scene: int, *, look: bool, state: State | None = None) -> None:
        """Resets, with `state` to it in that scene; with `look` the answer brings the first observation."""

    def run(self, worker: int, actions: np.ndarray, *, max_steps: int, look: bool) -> None:
        """Executes actions [k, action_dim] in the running episode, stopping where it ends."""

    def film(self, worker: int, scene: int, actions: np.ndarray, every: int, *, state: State | None = None) -> None:
        """Replays an episode from its actions; the answer's `frames` hold every n-th view, cameras side by side."""

    def next_ready(self, busy: list[int]) -> list[tuple[int, Progressed]]:
        """Blocks until one of these workers has answered; all who have. Raises RuntimeError with a worker's own traceback."""
        ...


class WorkerPool:
    """`count` simulators of one contract, a process each. Use as a context."""

    repeatable = True

    def __init__(self, contract: Contract, count: int):
        self.count, self.contract, self.place = count, contract, place_of(contract)
        self.groups: dict[int, int] = {}  # by worker, of the scenes that its process has shown
        self.processes = [self._process(number) for number in range(count)]

    def _process(self, number: int) -> SimulatorProcess:
        return SimulatorProcess(f"simulator-{number}", self.place, _opened, self.contract)

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *error: object) -> None:
        for process in self.processes:
            process.pipe.close()
        for process in self.processes:
            process.close()

    def start(self, worker: int, scene: int, *, look: bool, state: State | None = None) -> None:
        self._of_its_group(worker, scene).send(("start", scene, look, state))

    def run(self, worker: int, actions: np.ndarray, *, max_steps: int, look: bool) -> None:
        self.processes[worker].send(("run", actions, max_steps, look))

    def film(self, worker: int, scene: int, actions: np.ndarray, every: int, *, state: State | None = None) -> None:
        self._of_its_group(worker, scene).send(("film", scene, actions, every, state))

    def _of_its_group(self, worker: int, scene: int) -> SimulatorProcess:
        """The worker's process; a new one where it has shown scenes of another group (`door.Grouped`)."""
        group = group_of(self.contract, scene)
        if self.groups.setdefault(worker, group) != group:
            self.processes[worker].close()
            self.processes[worker], self.groups[worker] = self._process(worker), group
        return self.processes[worker]

    def next_ready(self, busy: list[int]) -> list[tuple[int, Progressed]]:
        wait([self.processes[worker].pipe for worker in busy])
        time.sleep(0.0005)  # lets a neighbour that is about to answer join the batch
        return [(worker, self.processes[worker].receive()) for worker in busy if self.processes[worker].pipe.poll()]

    def states(self, scenes: list[int]) -> list[State]:
        """The whole state that each scene begins with. Only while no episode runs."""
        states: dict[int, State] = {}
        todo, running = list(range(len(scenes))), dict[int, int]()
        while todo or running:
            for worker in set(range(self.count)) - set(running):
                if todo:
                    running[worker] = todo.pop()
                    scene = scenes[running[worker]]
                    self._of_its_group(worker, scene).send(("state", scene))
            for worker, state in self.next_ready(list(running)):
                states[running.pop(worker)] = state  # type: ignore[assignment]
        return [states[number] for number in range(len(scenes))]


def _opened(implementation: Implementation, contract: Contract) -> Callable[[Any], Progressed | State]:
    worker = _Worker(implementation.open(contract))
    return lambda message: worker.answer(*message)


class _Worker:
    def __init__(self, sim: Simulator):
        self.sim = sim
        self.episode = Progressed(-1)

    def answer(self, verb: str, *arguments: Any) -> Progressed | State:
        verbs: dict[str, Callable[..., Progressed | State]] = {
            "start": self._start,
            "run": self._run,
            "film": self._film,
            "state": self._state,
        }
        return verbs[verb](*arguments)

    def _start(self, scene: int, look: bool, state: State | None) -> Progressed:
        self.sim.reset(scene, state)
        self.episode = Progressed(scene, self.sim.prompt(), observation=self.sim.observe() if look else None)
        return self.episode

    def _run(self, actions: np.ndarray, max_steps: int, look: bool) -> Progressed:
        for action in actions:
            self.episode.add(self.sim.step(action), max_steps)
            if self.episode.done:
                break
        wanted = look and not self.episode.done
        self.episode.observation = self.sim.observe() if wanted else None
        return self.episode

    def _state(self, scene: int) -> State:
        self.sim.reset(scene)
        return self.sim.state()

    def _film(self, scene: int, actions: np.ndarray, every: int, state: State | None) -> Progressed:
        self.sim.reset(scene, state)
        episode = Progressed(scene, self.sim.prompt())
        for step, action in enumerate(actions):
            if step % every == 0:
                episode.frames.append(side_by_side(self.sim.observe()))
            episode.add(self.sim.step(action), len(actions))
        episode.frames.append(side_by_side(self.sim.observe()))
        return episode


def side_by_side(observation: Observation) -> np.ndarray:
    return np.concatenate(list(observation.images.values()), axis=1)
