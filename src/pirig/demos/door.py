"""The door to whoever makes demos in a simulator: a planner, a scripted expert, files that other people recorded.

One line in `MAKERS` for each simulator that has one; `collect.py` is what they share.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pirig.config.schema import DemosConfig, TaskConfig
from pirig.contract import MANISKILL, Contract
from pirig.demos.manifest import DemosManifest
from pirig.files.identity import Identity
from pirig.sim.door import State


class Maker(Protocol):
    def __call__(
        self, contract: Contract, task: TaskConfig, demos: DemosConfig, folder: Path, downloads: Path
    ) -> DemosManifest:
        """Fills `folder` with the successful episodes that `demos` asks for; resumes where a killed call stopped.

        What has to be fetched is kept in `downloads`. Raises ValueError where the task or `demos.path` cannot be had.
        """
        ...


class Asked(Protocol):
    def __call__(
        self, contract: Contract, task: TaskConfig, demos: DemosConfig, folder: Path, downloads: Path
    ) -> Identity | None:
        """What decides the demos that a maker would make; None where their source is not there."""
        ...


class Expert(Protocol):
    """Solves a task from any state. Pickled into worker processes; `open` is called there once."""

    name: str

    def require(self) -> None:
        """Raises ValueError where it cannot solve this task here."""
        ...

    def open(self) -> None: ...

    def solve(self, scene: int, state: State) -> dict[str, np.ndarray] | None:
        """A successful episode, as `collect` keeps them, that starts in `state` of `scene`; None where none succeeds."""
        ...


EXPERTS = {MANISKILL: "pirig.demos.maniskill.from_state:PlannerFromState"}
MAKERS = {MANISKILL: "pirig.demos.maniskill.make:make", "libero": "pirig.demos.libero.make:make"}
ASKED = {
    MANISKILL: "pirig.demos.maniskill.make:asked_of",
    "libero": "pirig.demos.libero.make:asked_of",
}  # of a simulator that is not named: asked while demos are made


def register(name: str, place: str) -> None:
    """Adds a simulator's maker of demos: `name` is what a contract calls the simulator, `place` is "module:function"."""
    if MAKERS.setdefault(name, place) != place:
        raise ValueError(f"demos of simulator {name!r} are made by {MAKERS[name]} already; choose another name")


def maker(contract: Contract) -> Maker:
    """Raises ValueError where nothing makes demos in the contract's simulator."""
    if contract.simulator not in MAKERS:
        raise ValueError(
            f"simulator {contract.simulator!r}: nothing makes demos there (demos are made in {', '.join(MAKERS)}); record a "
            "LeRobot data set and give demos.path=FOLDER"
        )
    return _named(MAKERS[contract.simulator])


def expert(contract: Contract, task: TaskConfig, *, labels: bool) -> Expert:
    """Raises ValueError where nobody solves tasks of the contract's simulator from a state, or this task here."""
    if contract.simulator not in EXPERTS:
        raise ValueError(
            f"simulator {contract.simulator!r}: nothing there solves a task from where a policy lost its way (known: "
            f"{', '.join(EXPERTS)}); a line of EXPERTS in pirig/demos/door.py adds it"
        )
    made: Expert = _named(EXPERTS[contract.simulator])(contract, task, labels)
    made.require()
    return made


def asked_of(
    contract: Contract, task: TaskConfig, demos: DemosConfig, folder: Path, downloads: Path
) -> Identity | None:
    """See `Asked`."""
    if contract.simulator not in ASKED:
        return None
    asked: Asked = _named(ASKED[contract.simulator])
    return asked(contract, task, demos, folder, downloads)


def _named(place: str) -> Any:
    module, name = place.split(":")
    return getattr(importlib.import_module(module), name)
