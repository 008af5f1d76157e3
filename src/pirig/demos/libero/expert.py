"""A scripted expert for LIBERO's pick-and-place tasks: it sees where things are, and moves the hand straight, without turning it.

Above the thing, down, close, up, above the place, down, open. A bowl is taken at its rim, other things at their middle.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pirig.sim.libero.env import LiberoEnv

OPEN, CLOSED = -1.0, 1.0
FULL_SPEED_M = 0.05  # farther than this from where it goes, the hand is at full speed
NEAR_M = 0.008
ABOVE_M, CARRY_M = 0.12, 0.22  # above a thing, a place
CLOSE_STEPS, OPEN_STEPS, TRIES = 12, 12, 2
RIM_M = {"akita_black_bowl": 0.055}  # from a bowl's middle to its rim, along which the fingers open
DROP_M = {"basket": 0.14, "plate": 0.07}  # of the hand above a place when it opens


class Expert:
    """Acts in one scene of a task whose goal is one thing in or on one other thing."""

    def __init__(self, sim: LiberoEnv):
        self.sim = sim
        thing, place = placing_of(sim.base)
        self.thing, self.place = thing, place
        self.rim_m = next((rim for name, rim in RIM_M.items() if thing.startswith(name)), 0.0)
        self.drop_m = next((drop for name, drop in DROP_M.items() if place.startswith(name)), 0.1)

    def actions(self) -> Iterator[np.ndarray]:
        """One after the other, each by where the hand is then; it ends where the plan does."""
        side = 0.0
        for attempt in range(TRIES):
            side = self.rim_m * (1 if attempt == 0 else -1)
            yield from self._grasp(side)
            if self._held():
                break
        here = self._at(self.thing)
        yield from self._bring(self._hand() + [0, 0, CARRY_M - max(0.0, self._hand()[2] - here[2] - 0.02)], CLOSED)
        carried = self._hand() - self._at(self.thing)
        over = self._at(self.place) + [carried[0], carried[1], 0]
        yield from self._bring([over[0], over[1], self._hand()[2]], CLOSED, steps=90)
        yield from self._bring(over + [0, 0, self.drop_m], CLOSED)
        yield from self._still(OPEN, OPEN_STEPS)
        yield from self._bring(over + [0, 0, CARRY_M], OPEN, steps=20)

    def _grasp(self, side_m: float) -> Iterator[np.ndarray]:
        at = self._at(self.thing) + [0, side_m, 0]
        yield from self._bring([at[0], at[1], max(self._hand()[2], at[2] + ABOVE_M)], OPEN, steps=20)
        yield from self._bring(at + [0, 0, ABOVE_M], OPEN)
        yield from self._bring(at + [0, 0, 0.02 if side_m else 0.0], OPEN)
        yield from self._still(CLOSED, CLOSE_STEPS)
        yield from self._bring(at + [0, 0, ABOVE_M], CLOSED, steps=30)

    def _bring(self, target_m: Any, gripper: float, steps: int = 60) -> Iterator[np.ndarray]:
        for _ in range(steps):
            off_m = np.asarray(target_m, np.float64) - self._hand()
            if np.abs(off_m).max() < NEAR_M:
                return
            yield _action(np.clip(off_m / FULL_SPEED_M, -1, 1), gripper)

    def _still(self, gripper: float, steps: int) -> Iterator[np.ndarray]:
        for _ in range(steps):
            yield _action(np.zeros(3), gripper)

    def _held(self) -> bool:
        return bool(self._hand()[2] - self._at(self.thing)[2] < ABOVE_M / 2)

    def _hand(self) -> np.ndarray:
        return self.sim.sense()["eef_pos"].astype(np.float64)

    def _at(self, name: str) -> np.ndarray:
        return self.sim.labels()[f"{name}_position_m"].astype(np.float64)


def placing_of(base: Any) -> tuple[str, str]:
    """(thing, the object that it is brought to). Raises ValueError for a goal that is another one."""
    goal = [tuple(atom) for atom in base.parsed_problem["goal_state"]]
    if len(goal) == 1 and goal[0][0] in ("in", "on") and goal[0][1] in base.objects_dict:
        thing, place = goal[0][1:]
        owner = max((name for name in base.obj_body_id if place.startswith(name)), key=len, default="")
        if owner:
            return thing, owner
    raise ValueError(
        f"the goal {goal}: the scripted expert brings one thing to one other thing; choose task=libero_object or "
        "task=libero_spatial, or give recorded demos as demos.path=FOLDER"
    )


def _action(moves: np.ndarray, gripper: float) -> np.ndarray:
    return np.array([*moves, 0.0, 0.0, 0.0, gripper], np.float32)
