"""The door to a simulator: what demos, evaluation and gates may ask, whichever simulator a contract names.

An implementation is a folder of this room with one `Implementation` in it, and one line in `IMPLEMENTATIONS`.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from pirig.config.names import standing
from pirig.contract import MANISKILL, Camera, Contract

State = dict[str, np.ndarray]  # everything that a scene consists of, under the simulator's own names
Labels = dict[
    str, np.ndarray
]  # "<object>_position_m" f32 [3], "<object>_quat_wxyz" f32 [4], in the world; units in the names

SAME_PIXELS = 3.0  # mean absolute difference of 0..255 up to which two pictures show the same


@dataclass(frozen=True)
class Observation:
    """What a simulator or a robot shows: u8 [H, W, 3] by the contract's role, f32 [n] by name (see transforms/state.py)."""

    images: dict[str, np.ndarray]
    numbers: dict[str, np.ndarray]


@dataclass(frozen=True)
class StepInfo:
    """`flags`: the funnel's sub-goals (`sim/sub_goals.py`) and the task's own, as they are after this step. `hand_off_m`: how far
    the hand is from the task's object, (across, above); None where the simulator does not say."""

    success: bool
    flags: dict[str, bool]
    steps: int
    hand_off_m: tuple[float, float] | None = None


class Simulator(Protocol):
    """One scene of a contract of one task. A scene is a whole number that the simulator owns: the same one is the same scene."""

    contract: Contract

    def reset(self, scene: int, state: State | None = None) -> None:
        """Begins `scene`, any waiting for things to settle included; with `state` it goes on from what `state()` gave there."""
        ...

    def step(self, action: np.ndarray) -> StepInfo:
        """`action` f32 [action_dim] in the contract's control mode. Renders nothing. Raises ValueError on NaN or a wrong size."""
        ...

    def observe(self) -> Observation:
        """Renders now."""
        ...

    def sense(self) -> dict[str, np.ndarray]:
        """The numbers of `observe` alone; renders nothing."""
        ...

    def labels(self) -> Labels:
        """Privileged: where the task's objects are. No policy sees it."""
        ...

    def state(self) -> State: ...

    def prompt(self) -> str:
        """What the policy is told in this scene."""
        ...

    def close(self) -> None: ...


def standing_cameras(contract: Contract) -> list[Camera]:
    """Those that no hand carries; all where every one is carried."""
    still = standing(camera.role for camera in contract.cameras)
    return [camera for camera in contract.cameras if camera.role in still]


@runtime_checkable
class ArrangedSimulator(Protocol):
    """What a `Simulator` has beside it where it can show a scene with its arm anywhere: labelled scenes need it."""

    def arrange(self, scene: int, joints: np.ndarray, *, rebuild: bool) -> None:
        """Begins `scene` with the arm at rest at `joints` f32 [J], numbers as `sense` gives them in "qpos".

        Without `rebuild` the bodies of the scene before are kept and only placed anew, which is faster: what they are made of,
        such as their sizes, is then still that scene's.
        """
        ...

    def in_sight(self) -> dict[str, float] | None:
        """Of each label, what share of the last frame's pixels its thing covers, in the camera that shows it best, of those that
        stand still; None where the simulator cannot tell."""
        ...

    def in_picture(self, points_m: np.ndarray) -> dict[str, np.ndarray]:
        """Where points of the world f32 [N, 3] are in the last frame of each camera that stands still, by role f32 [N, 2]: x to
        the right, y down, -1 to 1 from edge to edge, more outside; NaN for what is behind the camera."""
        ...


@runtime_checkable
class FurnishedSimulator(ArrangedSimulator, Protocol):
    """An `ArrangedSimulator` that can put things elsewhere too: scenes near demos need it."""

    def put(self, things: Mapping[str, np.ndarray]) -> None:
        """Things by their labels' names, at poses of the world f32 [7] (m, quat_wxyz); what cannot move by itself, such as a
        drawer, stays."""
        ...


class Scenes(Protocol):
    """`num_envs` scenes of one contract that are reset together, stepped together and rendered together."""

    num_envs: int

    def reset(self, scenes: Sequence[int], states: Sequence[State]) -> None:
        """One scene and the state of its `Simulator` after a reset for each; raises RuntimeError where it cannot be taken."""
        ...

    def step(self, actions: np.ndarray) -> list[StepInfo]:
        """`actions` f32 [num_envs, action_dim]."""
        ...

    def observe(self) -> list[Observation]: ...

    def close(self) -> None: ...


class Implementation(Protocol):
    """What a simulator's folder offers. It is made without arguments in every process that asks, and imports nothing heavy."""

    def missing(self) -> str:
        """What is not installed here, "" where nothing is."""
        ...

    def missing_scenes(self) -> str:
        """Why `open_scenes` cannot work here, with what to do; "" where it can."""
        ...

    def probe(self) -> tuple[bool, str]:
        """Whether it renders here, and a sentence for `pirig doctor` that says with what, or what to do."""
        ...

    def prepare(self) -> None:
        """Drivers and threads of this process; called before anything is opened in it, and once."""
        ...

    def open(self, contract: Contract) -> Simulator:
        """Raises ValueError naming a task, robot or sensor that it does not have."""
        ...

    def open_scenes(self, contract: Contract, num_envs: int) -> Scenes: ...


@runtime_checkable
class Grouped(Protocol):
    """What an `Implementation` has beside it whose contracts may be of several tasks, a suite: a process is given scenes of one
    task only, since to open another one is slow, or leaves memory behind."""

    def group(self, contract: Contract, scene: int) -> int:
        """Of which task the scene is: its place in `contract.scenes`. Raises ValueError where there is no such scene."""
        ...


IMPLEMENTATIONS = {
    MANISKILL: "pirig.sim.maniskill.implementation:ManiSkill",
    "libero": "pirig.sim.libero.implementation:Libero",
}


def register(name: str, place: str) -> None:
    """Adds a simulator: `name` is what a contract calls it, `place` is "module:class" of its `Implementation`.

    Raises ValueError where another one has the name.
    """
    if IMPLEMENTATIONS.setdefault(name, place) != place:
        raise ValueError(f"simulator {name!r} is {IMPLEMENTATIONS[name]} already; choose another name")


def place_of(contract: Contract) -> str:
    """Of its implementation; a process that is started anew needs no more. Raises ValueError on an unknown name."""
    if contract.simulator not in IMPLEMENTATIONS:
        raise ValueError(
            f"simulator {contract.simulator!r}: expected one of {', '.join(IMPLEMENTATIONS)}; what was recorded on a real "
            "arm has none"
        )
    return IMPLEMENTATIONS[contract.simulator]


def implementation_at(place: str) -> Implementation:
    module, name = place.split(":")
    return getattr(importlib.import_module(module), name)()


def implementation(contract: Contract) -> Implementation:
    """Of the contract's simulator. Raises ValueError where nobody knows it."""
    return implementation_at(place_of(contract))


def group_of(contract: Contract, scene: int) -> int:
    """See `Grouped`; 0 where the contract's simulator has no groups."""
    chosen = implementation(contract)
    return chosen.group(contract, scene) if isinstance(chosen, Grouped) else 0


def in_groups(contract: Contract, scenes: Sequence[int]) -> list[int]:
    """The scenes in an order in which those of a group follow one another. Raises ValueError where one does not exist."""
    chosen = implementation(contract)
    return sorted(scenes, key=lambda scene: chosen.group(contract, scene)) if isinstance(chosen, Grouped) else [*scenes]


def in_turns(contract: Contract, scenes: Sequence[int]) -> list[int]:
    """One scene of each group, then another one of each, and so on: the first few are of as many groups as can be."""
    turns: Counter[int] = Counter()
    of_scene: list[int] = []
    for scene in scenes:
        group = group_of(contract, scene)
        of_scene.append(turns[group])
        turns[group] += 1
    return [scene for _, scene in sorted(zip(of_scene, scenes, strict=True), key=lambda pair: pair[0])]


def unavailable(contract: Contract) -> str:
    """Why no scene of this contract can be opened here, "" where one can."""
    if contract.simulator not in IMPLEMENTATIONS:
        return "recorded on a real arm, there is no simulator to ask"
    return implementation(contract).missing()


def open_simulator(contract: Contract) -> Simulator:
    """The contract's simulator in this process. Raises ValueError where nobody knows it."""
    chosen = implementation(contract)
    chosen.prepare()
    return chosen.open(contract)
