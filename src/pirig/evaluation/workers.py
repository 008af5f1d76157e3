"""Simulators in processes of their own, each stepping alone. A worker that dies takes the evaluation down with a reason."""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

import numpy as np

from pirig.contract import Contract
from pirig.sim.maniskill import renderer
from pirig.sim.maniskill.env import SimEnv, StepInfo
from pirig.sim.maniskill.vector_env import state_of

TAIL_STEPS = 10  # an episode goes on for so many steps after its first success, to see whether it lasts
Observation = dict[str, np.ndarray]


@dataclass
class Progressed:
    """Where an episode stands. `observation` is the newest frame, None when nobody asked for one."""

    seed: int
    steps: int = 0
    first_success: int = -1
    success_now: bool = False
    flags: dict[str, bool] = field(default_factory=dict)
    done: bool = False
    observation: Observation | None = None
    frames: list[np.ndarray] = field(default_factory=list)

    def add(self, info: StepInfo, max_steps: int) -> None:
        self.steps, self.success_now = info.steps, info.success
        if info.success and self.first_success < 0:
            self.first_success = info.steps
        for name, value in info.flags.items():
            self.flags[name] = self.flags.get(name, False) or value
        lasted = self.first_success >= 0 and info.steps >= self.first_success + TAIL_STEPS
        self.done = lasted or info.steps >= max_steps


class Pool(Protocol):
    """Simulators that run an episode each. What a worker is told to do is answered by `next_ready`."""

    count: int
    repeatable: bool  # the same actions from the same seed give the same episode, bit by bit

    def start(self, worker: int, seed: int, *, look: bool) -> None:
        """Resets; with `look` the answer brings the first observation."""

    def run(self, worker: int, actions: np.ndarray, *, max_steps: int, look: bool) -> None:
        """Executes actions [k, action_dim] in the running episode, stopping where it ends."""

    def film(self, worker: int, seed: int, actions: np.ndarray, every: int) -> None:
        """Replays an episode from its actions; the answer's `frames` hold every n-th view, cameras side by side."""

    def next_ready(self, busy: list[int]) -> list[tuple[int, Progressed]]:
        """Blocks until one of these workers has answered; all who have. Raises RuntimeError with a worker's own traceback."""
        ...


class WorkerPool:
    """`count` simulators of one contract, a process each. Use as a context."""

    repeatable = True

    def __init__(self, contract: Contract, count: int):
        self.count = count
        context = multiprocessing.get_context("spawn")
        self.pipes: list[Connection] = []
        self.processes = []
        for number in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, contract), name=f"simulator-{number}", daemon=True)
            process.start()
            theirs.close()
            self.pipes.append(ours)
            self.processes.append(process)

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *error: object) -> None:
        for pipe in self.pipes:
            pipe.close()
        for process in self.processes:
            process.join(timeout=10)
            if process.is_alive():
                process.kill()

    def start(self, worker: int, seed: int, *, look: bool) -> None:
        self._send(worker, ("start", seed, look))

    def run(self, worker: int, actions: np.ndarray, *, max_steps: int, look: bool) -> None:
        self._send(worker, ("run", actions, max_steps, look))

    def film(self, worker: int, seed: int, actions: np.ndarray, every: int) -> None:
        self._send(worker, ("film", seed, actions, every))

    def state(self, worker: int, seed: int) -> None:
        """The answer's `observation` is the simulator's whole state after a reset."""
        self._send(worker, ("state", seed))

    def _send(self, worker: int, message: tuple) -> None:
        try:
            self.pipes[worker].send(message)
        except (BrokenPipeError, OSError) as error:
            raise dead(self.processes[worker]) from error

    def next_ready(self, busy: list[int]) -> list[tuple[int, Progressed]]:
        wait([self.pipes[worker] for worker in busy])
        time.sleep(0.0005)  # lets a neighbour that is about to answer join the batch
        answers = []
        for worker in busy:
            if not self.pipes[worker].poll():
                continue
            try:
                answer = self.pipes[worker].recv()
            except (EOFError, ConnectionResetError) as error:
                raise dead(self.processes[worker]) from error
            if isinstance(answer, str):
                raise RuntimeError(f"simulator {worker} failed:\n{answer}")
            answers.append((worker, answer))
        return answers


def dead(process: BaseProcess) -> RuntimeError:
    """Says how a simulator's process ended, and how to go on."""
    process.join(timeout=5)
    return RuntimeError(
        f"the process {process.name} died with exit code {process.exitcode} (negative: killed by that signal); "
        "finished episodes are saved, run the same command with run.mode=resume to go on"
    )


def serve(pipe: Connection, opened: Callable[[], Callable[[Any], Any]]) -> None:
    """A simulator process's life: one message at a time until the pipe closes. What fails is answered with its traceback."""
    try:
        renderer.configure()
        answer = opened()
        while True:
            try:
                message = pipe.recv()
            except (EOFError, ConnectionResetError):
                return
            pipe.send(answer(message))
    except KeyboardInterrupt:
        return
    except Exception:
        pipe.send(traceback.format_exc())


def _serve(pipe: Connection, contract: Contract) -> None:
    def opened() -> Callable[[Any], Progressed]:
        renderer.limit_threads()
        simulator = _Simulator(contract)
        return lambda message: simulator.answer(*message)

    serve(pipe, opened)


class _Simulator:
    def __init__(self, contract: Contract):
        self.sim = SimEnv(contract, max_steps=100_000)
        self.episode = Progressed(-1)

    def answer(self, verb: str, *arguments: Any) -> Progressed:
        verbs: dict[str, Callable[..., Progressed]] = {
            "start": self._start,
            "run": self._run,
            "film": self._film,
            "state": self._state,
        }
        return verbs[verb](*arguments)

    def _start(self, seed: int, look: bool) -> Progressed:
        self.sim.reset(seed)
        self.episode = Progressed(seed, observation=self.sim.observe() if look else None)
        return self.episode

    def _run(self, actions: np.ndarray, max_steps: int, look: bool) -> Progressed:
        for action in actions:
            self.episode.add(self.sim.step(action), max_steps)
            if self.episode.done:
                break
        wanted = look and not self.episode.done
        self.episode.observation = self.sim.observe() if wanted else None
        return self.episode

    def _state(self, seed: int) -> Progressed:
        self.sim.reset(seed)
        return Progressed(seed, observation=state_of(self.sim.base))

    def _film(self, seed: int, actions: np.ndarray, every: int) -> Progressed:
        self.sim.reset(seed)
        episode = Progressed(seed)
        for step, action in enumerate(actions):
            if step % every == 0:
                episode.frames.append(side_by_side(self.sim.observe()))
            episode.add(self.sim.step(action), len(actions))
        episode.frames.append(side_by_side(self.sim.observe()))
        return episode


def side_by_side(observation: Observation) -> np.ndarray:
    return np.concatenate([value for name, value in observation.items() if name.startswith("image/")], axis=1)
