"""Many scenes of one GPU environment as a pool of simulators: they start together, step together and are served together.

A scene whose episode has ended waits until the others' have; then all start anew. The environment lives in a process of its
own, so that a simulator's crash has a reason and the policy keeps its device.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pirig.contract import Contract
from pirig.evaluation.scene_group import Answer, Film, Group, Run, Start
from pirig.evaluation.workers import Progressed, WorkerPool
from pirig.sim.door import Implementation, Scenes, State, place_of
from pirig.sim.processes import SimulatorProcess


class LockstepPool:
    """`num_envs` scenes, asked as a `WorkerPool` is; `workers` processes on the CPU give their initial states.

    Use as a context. `repeatable` is False: a GPU's physics is not bit-equal from run to run. `scenes` opens them in place of
    the contract's simulator.
    """

    repeatable = False

    def __init__(
        self, contract: Contract, num_envs: int, workers: int, scenes: Callable[[Contract, int], Scenes] | None = None
    ):
        self.count = num_envs
        self.starts: dict[int, tuple[int, bool]] = {}
        self.begins: dict[int, State] = {}  # of the scenes that begin elsewhere than a reset to them does
        self.runs: dict[int, tuple[np.ndarray, int, bool]] = {}
        self.films: dict[int, tuple[int, np.ndarray, int]] = {}
        name = f"the simulator of {num_envs} scenes"
        self.together = SimulatorProcess(name, place_of(contract), _opened, contract, num_envs, scenes)
        self.cpu = WorkerPool(contract, workers)

    def __enter__(self) -> LockstepPool:
        return self

    def __exit__(self, *error: object) -> None:
        self.together.pipe.close()
        self.cpu.__exit__(*error)
        self.together.close()

    def start(self, worker: int, scene: int, *, look: bool, state: State | None = None) -> None:
        self.starts[worker] = (scene, look)
        self._begin(scene, state)

    def run(self, worker: int, actions: np.ndarray, *, max_steps: int, look: bool) -> None:
        self.runs[worker] = (actions, max_steps, look)

    def film(self, worker: int, scene: int, actions: np.ndarray, every: int, *, state: State | None = None) -> None:
        self.films[worker] = (scene, actions, every)
        self._begin(scene, state)

    def _begin(self, scene: int, state: State | None) -> None:
        self.begins.pop(scene, None)
        if state is not None:
            self.begins[scene] = state

    def next_ready(self, busy: list[int]) -> list[tuple[int, Progressed]]:
        """Whoever runs goes first: who wants to start, or a film, waits until nobody runs."""
        self.together.send(self._next())
        return sorted(self.together.receive().items())

    def _next(self) -> Start | Run | Film:
        if self.runs:
            runs, self.runs = self.runs, {}
            _, max_steps, look = next(iter(runs.values()))
            return Run({place: actions for place, (actions, _, _) in runs.items()}, max_steps, look)
        if self.starts:
            starts, self.starts = self.starts, {}
            scenes = {place: scene for place, (scene, _) in starts.items()}
            return Start(scenes, self._states(scenes), any(look for _, look in starts.values()))
        films, self.films = self.films, {}
        scenes = {place: scene for place, (scene, _, _) in films.items()}
        every = next(every for _, _, every in films.values())
        return Film(
            Start(scenes, self._states(scenes)), {place: actions for place, (_, actions, _) in films.items()}, every
        )

    def _states(self, scenes: dict[int, int]) -> dict[int, State]:
        """What the CPU's simulator begins with in these scenes, or what was said that they begin with."""
        resets = dict(zip(scenes, self.cpu.states(list(scenes.values())), strict=True))
        return {place: self.begins.get(scenes[place], state) for place, state in resets.items()}


def _opened(
    implementation: Implementation,
    contract: Contract,
    num_envs: int,
    scenes: Callable[[Contract, int], Scenes] | None,
) -> Callable[[Start | Run | Film], Answer]:
    opened = (scenes or implementation.open_scenes)(contract, num_envs)
    return Group(opened, contract.prompt).answer
