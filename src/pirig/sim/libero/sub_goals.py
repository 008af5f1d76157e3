"""The sub-goals of `sim/sub_goals.py` in LIBERO, from the goal that a task's BDDL file states, such as In ketchup_1 basket_1."""

from __future__ import annotations

from typing import Any

import numpy as np

REACHED_M = 0.07  # from the gripper's site to an object's origin; a bowl is taken at its rim, 5 cm from it
LIFTED_M = 0.02
PLACING = ("in", "on")  # predicates of a thing and a place


class SubGoals:
    """The sub-goals of one episode; made where it begins, since lifted is relative to the start.

    A goal of several parts has a flag for each of them, by its words; the funnel follows the first thing that is to be brought
    somewhere.
    """

    def __init__(self, base: Any):
        self.base = base
        self.goal = [tuple(atom) for atom in base.parsed_problem["goal_state"]]
        moved = [atom for atom in self.goal if atom[0] in PLACING and atom[1] in base.objects_dict]
        self.thing = moved[0][1] if moved else ""
        self.placing = moved[0] if moved else ()
        self.start_m = self._thing_m() if self.thing else None

    def flags(self) -> dict[str, bool]:
        """Which are true now."""
        flags = {}
        if self.thing:
            off_m, held = self._offset_m(), self.base.objects_dict[self.thing]
            flags = {
                "reached": bool(np.linalg.norm(off_m) < REACHED_M),
                "grasped": bool(self.base._check_grasp(self.base.robots[0].gripper, held)),
                "lifted": bool(self._thing_m()[2] - self.start_m[2] > LIFTED_M),  # type: ignore[index]
                "placed": self._holds(self.placing),
            }
        if len(self.goal) > 1 or not self.thing:
            flags |= {"_".join(atom): self._holds(atom) for atom in self.goal}
        return flags

    def hand_off_m(self) -> tuple[float, float] | None:
        """How far the gripper's site is from the thing, (across, above); None where a task brings nothing anywhere."""
        if not self.thing:
            return None
        off_m = self._offset_m()
        return float(np.linalg.norm(off_m[:2])), float(off_m[2])

    def _holds(self, atom: tuple[str, ...]) -> bool:
        return bool(self.base._eval_predicate(list(atom)))

    def _thing_m(self) -> np.ndarray:
        return np.array(self.base.sim.data.body_xpos[self.base.obj_body_id[self.thing]])

    def _offset_m(self) -> np.ndarray:
        return np.array(self.base.sim.data.site_xpos[self.base.robots[0].eef_site_id]) - self._thing_m()
