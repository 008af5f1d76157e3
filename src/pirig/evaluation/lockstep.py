"""Many scenes of one GPU environment as a pool of simulators: they start together, step together and are served together.

A scene whose episode has ended waits until the others' have; then all start anew. The environment lives in a process of its
own, so that a simulator's crash has a reason and the policy keeps its device.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np

from pirig.contract import Contract
from pirig.evaluation.scene_group import Film, Group, Run, Scenes, Start
from pirig.evaluation.workers import Progressed, WorkerPool, dead, serve
from pirig.sim.maniskill.vector_env import State, VectorEnv


class LockstepPool:
    """`num_envs` scenes, asked as a `WorkerPool` is; `workers` processes on the CPU give their initial states.

    Use as a context. `repeatable` is False: a GPU's physics is not bit-equal from run to run.
    """

    repeatable = False

    def __init__(
        self, contract: Contract, num_envs: int, workers: int, scenes: Callable[[Contract, int], Scenes] = VectorEnv
    ):
        self.count = num_envs
        self.starts: dict[int, tuple[int, bool]] = {}
        self.runs: dict[int, tuple[np.ndarray, int, bool]] = {}
        self.films: dict[int, tuple[int, np.ndarray, int]] = {}
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(theirs, contract, num_envs, scenes), name="scenes", daemon=True
        )
        self.process.start()
        theirs.close()
        self.cpu = WorkerPool(contract, workers)

    def __enter__(self) -> LockstepPool:
        return self

    def __exit__(self, *error: object) -> None:
        self.pipe.close()
        self.cpu.__exit__(*error)
        self.process.join(timeout=10)
        if self.process.is_alive():
            self.process.kill()

    def start(self, worker: int, seed: int, *, look: bool) -> None:
        self.starts[worker] = (seed, look)

    def run(self, worker: int, actions: np.ndarray, *, max_steps: int, look: bool) -> None:
        self.runs[worker] = (actions, max_steps, look)

    def film(self, worker: int, seed: int, actions: np.ndarray, every: int) -> None:
        self.films[worker] = (seed, actions, every)

    def next_ready(self, busy: list[int]) -> list[tuple[int, Progressed]]:
        """Whoever runs goes first: who wants to start, or a film, waits until nobody runs."""
        return sorted(self._ask(self._next()).items())

    def _next(self) -> Start | Run | Film:
        if self.runs:
            runs, self.runs = self.runs, {}
            _, max_steps, look = next(iter(runs.values()))
            return Run({one: actions for one, (actions, _, _) in runs.items()}, max_steps, look)
        if self.starts:
            starts, self.starts = self.starts, {}
            seeds = {one: seed for one, (seed, _) in starts.items()}
            return Start(seeds, self._states(seeds), any(look for _, look in starts.values()))
        films, self.films = self.films, {}
        seeds = {one: seed for one, (seed, _, _) in films.items()}
        every = next(every for _, _, every in films.values())
        return Film(Start(seeds, self._states(seeds)), {one: actions for one, (_, actions, _) in films.items()}, every)

    def _states(self, seeds: dict[int, int]) -> dict[int, State]:
        """What the CPU's simulator begins with for these seeds."""
        todo, running, states = list(seeds.items()), dict[int, int](), dict[int, State]()
        idle = list(range(self.cpu.count))
        while todo or running:
            while todo and idle:
                worker, (one, seed) = idle.pop(), todo.pop()
                self.cpu.state(worker, seed)
                running[worker] = one
            for worker, answer in self.cpu.next_ready(list(running)):
                assert answer.observation is not None
                states[running.pop(worker)] = answer.observation
                idle.append(worker)
        return states

    def _ask(self, message: Start | Run | Film) -> dict[int, Progressed]:
        try:
            self.pipe.send(message)
            answer = self.pipe.recv()
        except (BrokenPipeError, EOFError, ConnectionResetError) as error:
            raise dead(self.process) from error
        if isinstance(answer, str):
            raise RuntimeError(f"the simulator of {self.count} scenes failed:\n{answer}")
        return answer


def _serve(pipe: Connection, contract: Contract, num_envs: int, scenes: Callable[[Contract, int], Scenes]) -> None:
    serve(pipe, lambda: Group(scenes(contract, num_envs)).answer)
