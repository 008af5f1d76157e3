"""Episodes in LIBERO: by the scripted expert, where it succeeds in time, and again; each is played without pictures first."""

from __future__ import annotations

import numpy as np

from pirig.config.schema import DemosConfig
from pirig.contract import Contract
from pirig.demos import starts as drawn
from pirig.demos.collect import TooLong
from pirig.demos.manifest import IMAGE, LABEL, START, TASK
from pirig.sim import door
from pirig.sim.door import State
from pirig.sim.libero.env import LiberoEnv

NAME = "scripted expert, straight moves"
AFTER_STEPS = 6  # that the expert goes on for after success: of rounded actions a bowl may touch its plate later
ROUNDED = np.float32(1 - 1e-6)  # more than normalising an action and back changes it, 1e-7


class ExpertSource:
    """See `demos.collect.Source`; a scene of the simulator is a seed."""

    def __init__(self, contract: Contract, demos: DemosConfig):
        self.contract, self.demos = contract, demos
        self.name = NAME + drawn.told(demos)

    def open(self) -> None:
        self.sim: LiberoEnv = door.open_simulator(self.contract)  # type: ignore[assignment]

    def episode(self, seed: int) -> dict[str, np.ndarray] | TooLong | None:
        planned = self.planned(seed)
        if planned is None:
            return None
        actions, start = planned
        if 0 < self.demos.max_steps < len(actions):
            return TooLong(len(actions))
        return recorded(self.sim, seed, actions, start, labels=self.demos.labels)

    def planned(self, scene: int) -> tuple[list[np.ndarray], State | None] | None:
        """Actions that succeed, rounded otherwise too, and the state that they start from unless it is as a reset leaves it."""
        found = self._planned(scene)
        return found if found and self._holds(scene, *found) else None

    def _planned(self, scene: int) -> tuple[list[np.ndarray], State | None] | None:
        from pirig.demos.libero import starts

        self.sim.reset(scene)
        spread_rad = self.demos.start_spread_rad
        start = starts.spread(self.sim, scene, spread_rad) if spread_rad else None
        actions = self._solved(scene, start)
        if actions is None or not drawn.is_disturbed(scene, self.demos.disturb):
            return None if actions is None else (actions, start)
        start = starts.push(self.sim, scene, actions, start, self.demos.disturb_rad)
        actions = self._solved(scene, start)
        return None if actions is None else (actions, start)

    def _solved(self, scene: int, start: State | None) -> list[np.ndarray] | None:
        from pirig.demos.libero.expert import Expert

        self.sim.reset(scene)
        expert = Expert(self.sim)  # it holds the hand as it is here, upright
        if start is not None:
            self.sim.reset(scene, start)
        actions, ends_at = list[np.ndarray](), None
        for action in expert.actions():
            actions.append(action)
            if self.sim.step(action).success and ends_at is None:
                ends_at = len(actions) + AFTER_STEPS
            if len(actions) == ends_at:
                break
        return actions if ends_at else None

    def _holds(self, scene: int, actions: list[np.ndarray], start: State | None) -> bool:
        """Whether actions that differ by their last digits succeed too: a bowl that hardly holds slips out of the hand."""
        self.sim.reset(scene, start)
        return any(self.sim.step(action * ROUNDED).success for action in actions)


def recorded(
    sim: LiberoEnv, scene: int, actions: list[np.ndarray], start: State | None, *, labels: bool
) -> dict[str, np.ndarray] | None:
    """The episode of these actions, None where they never succeed. Frame t is what was seen before action t."""
    sim.reset(scene, start)
    frames, success = [], False
    for action in actions:
        frames.append(_frame(sim, labels))
        success |= sim.step(action).success
    if not success:
        return None
    stacked = {name: np.stack([frame[name] for frame in frames]) for name in frames[0]}
    which = sim.contract.scenes[door.group_of(sim.contract, scene)].task
    told = {"seed": np.int64(scene), "success": np.bool_(True), TASK: np.array(which)}
    begun = {f"{START}{name}": part for name, part in (start or {}).items()}
    return {**stacked, "actions": np.stack(actions), **told, **begun}


def _frame(sim: LiberoEnv, labels: bool) -> dict[str, np.ndarray]:
    shown = sim.observe()
    known = {f"{LABEL}{name}": value for name, value in sim.labels().items()} if labels else {}
    return {**shown.numbers, **{f"{IMAGE}{role}": image for role, image in shown.images.items()}, **known}
