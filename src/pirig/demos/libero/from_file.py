"""Demos from LIBERO's own demonstration files: their actions, played again with this run's cameras and versions.

The files' pictures are not taken: each is of after its action, 128 px wide, and of another MuJoCo.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from pirig.config.schema import DemosConfig
from pirig.contract import Contract
from pirig.demos import identity
from pirig.demos.collect import TooLong
from pirig.demos.libero.source import recorded
from pirig.demos.libero.starts import as_recorded
from pirig.files.identity import Identity
from pirig.foreign.faults import refused
from pirig.foreign.libero import Demonstration, files_of, numbers_of, read
from pirig.sim import door
from pirig.sim.door import State
from pirig.sim.libero.env import LiberoEnv

NAME = "LIBERO's demonstration files, played again"
CODE = 1  # changes where the same files would give other episodes


class FileSource:
    """See `demos.collect.Source`. The scene of demonstration n of task t is n * tasks + t: it decides the task, and no more,
    since each episode starts from its own state."""

    name = NAME

    def __init__(self, contract: Contract, path: Path, demos: DemosConfig):
        """Raises ValueError where the files are of none of the contract's tasks, or damaged."""
        self.contract, self.demos, self.path = contract, demos, path
        tasks = [scene.env_id.rpartition("/")[2] for scene in contract.scenes]
        files = files_of(path)
        if not set(files) & set(tasks):
            raise refused(
                f"demos.path: {path}", f"of {', '.join(sorted(files)[:3])}", "choose the suite that it is of",
                expected=f"a task of this run: {', '.join(tasks[:3])}",
            )  # fmt: skip
        self.files = {number: files[task] for number, task in enumerate(tasks) if task in files}
        self.parts = [[number * len(tasks) + task for number in numbers_of(file)] for task, file in self.files.items()]

    @property
    def asked(self) -> Identity:
        """What decides the demos: each demonstration's actions, start and scene."""
        seeds = [seed for part in self.parts for seed in part]
        settings = {"labels": self.demos.labels, "max_steps": self.demos.max_steps, "files": CODE}
        parts = [f"{seed}:{_digest(self._read(seed))}" for seed in seeds]
        return identity.asked_of(
            self.contract, NAME, min(self.demos.count, len(seeds)), settings, parts, place=self.path
        )

    def open(self) -> None:
        self.sim: LiberoEnv = door.open_simulator(self.contract)  # type: ignore[assignment]

    def episode(self, seed: int) -> dict[str, np.ndarray] | TooLong | None:
        demonstration = self._read(seed)
        start = self._start(seed, demonstration)
        self.sim.reset(seed, start)
        steps = next((step for step, action in enumerate(demonstration.actions, 1) if self.sim.step(action).success), 0)
        if not steps:
            return None
        if 0 < self.demos.max_steps < steps:
            return TooLong(steps)
        return recorded(self.sim, seed, list(demonstration.actions[:steps]), start, labels=self.demos.labels)

    def _read(self, seed: int) -> Demonstration:
        number, task = divmod(seed, len(self.contract.scenes))
        return read(self.files[task], number)

    def _start(self, seed: int, demonstration: Demonstration) -> State:
        """Its first state, the hand open and at rest, as after the waiting steps."""
        self.sim.reset(seed)
        state, fixtures = self.sim.state(), demonstration.fixtures
        if demonstration.state.shape != state["mujoco"].shape:
            raise refused(
                demonstration.file, f"its states have {len(demonstration.state)} numbers", "give the file of this task",
                expected=f"this simulator's {len(state['mujoco'])}", episode=demonstration.number,
            )  # fmt: skip
        state["mujoco"] = demonstration.state
        if known := self.sim.fixtures.poses:
            poses = zip(known, state["fixtures"].reshape(-1, 7), strict=True)
            state["fixtures"] = np.concatenate([fixtures.get(name, pose) for name, pose in poses])
        self.sim.reset(seed, state)
        state["hand_rotation"] = np.array(self.sim.base.robots[0].controller.ee_ori_mat).ravel()
        return as_recorded(state)


def _digest(demonstration: Demonstration) -> str:
    digest = hashlib.sha256(demonstration.actions.tobytes() + demonstration.state.tobytes())
    digest.update(demonstration.model_xml.encode())
    return digest.hexdigest()[:16]
