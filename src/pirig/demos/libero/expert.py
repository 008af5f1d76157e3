"""A scripted expert for LIBERO's pick-and-place tasks: it sees where things are, and moves the hand straight.

Above the thing, turned as the grasp asks; down, close, up; above the place, down, open. What it lost it grasps again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pirig.demos.libero.grasps import Grasp, Room, grasps_of, nearest, turn_between
from pirig.demos.libero.shapes import boxes_beside, boxes_of
from pirig.sim.libero.env import LiberoEnv

OPEN, CLOSED = -1.0, 1.0
FULL_SPEED_M, FULL_SPEED_RAD = 0.05, 0.5  # farther than this from where it goes, the hand is at full speed
FULL_TILT = 0.3  # of the fastest turn: a pushed hand set upright at once is 26 standard deviations of all actions off
NEAR_M, EXACT_M, NEAR_RAD = 0.008, 0.003, 0.06
ABOVE_M, CARRY_M = 0.12, 0.05  # above a thing; at least so far above where it is let go the thing is carried
CLOSE_STEPS, OPEN_STEPS, TRIES = 10, 10, 3
SLID_M = 0.02  # of a thing that is not where it was to be taken any more
RELEASE_M = {"basket": 0.12}  # of a thing above its place when it is let go; 0.015 elsewhere


class Expert:
    """Acts in one scene of a task whose goal is one thing in or on one other thing."""

    def __init__(self, sim: LiberoEnv):
        self.sim = sim
        self.thing, self.place, self.region = placing_of(sim.base)
        self.release_m = next((far for name, far in RELEASE_M.items() if self.place.startswith(name)), 0.015)
        self.upright = self._rotation()
        self.first_axis_rad = self.axis_rad = self._axis_rad()
        self.lay_m = self._at(self.thing)[2]

    def actions(self) -> Iterator[np.ndarray]:
        """One after the other, each by where the hand is then; it ends where the plan does."""
        for attempt in range(TRIES):
            yield from self._grasp(self._grasps()[attempt])
            if self._held():
                yield from self._put()

    def _grasps(self) -> list[Grasp]:
        """The hand has room where it takes the thing and where it lets it go, beside the place itself."""
        base, here = self.sim.base, Grasp(self._hand(), self.first_axis_rad)
        gone_m = self._target_m() - self._underside_m() + [0, 0, self.release_m]
        rooms = [Room(boxes_beside(base, self.thing)), Room(boxes_beside(base, self.thing, self.place), gone_m)]
        return grasps_of(self.thing, boxes_of(base, self.thing), rooms, here)

    def _grasp(self, grasp: Grasp) -> Iterator[np.ndarray]:
        self.axis_rad = self.first_axis_rad + turn_between(self.first_axis_rad, grasp.axis_rad)
        above = grasp.at_m + [0, 0, ABOVE_M]
        yield from self._bring([*above[:2], max(self._hand()[2], above[2])], OPEN)
        now = nearest(self._grasps(), grasp)  # it may have slid
        self.axis_rad = self.first_axis_rad + turn_between(self.first_axis_rad, now.axis_rad)
        above, lay_m = now.at_m + [0, 0, ABOVE_M], self._at(self.thing)
        self.lay_m = lay_m[2]
        yield from self._bring(above, OPEN, near_m=EXACT_M, steps=20)
        for action in self._bring(now.at_m, OPEN, near_m=EXACT_M, steps=40):
            yield action
            if np.linalg.norm(self._at(self.thing) - lay_m) > SLID_M:
                return  # the hand pushed it off what it lay on
        yield from self._still(CLOSED, CLOSE_STEPS)
        yield from self._bring(above, CLOSED, steps=30)

    def _put(self) -> Iterator[np.ndarray]:
        over = self._target_m() + self._hand() - self._underside_m()
        height_m = max(self._hand()[2], over[2] + self.release_m + CARRY_M)
        yield from self._bring([*self._hand()[:2], height_m], CLOSED)
        yield from self._bring([*over[:2], height_m], CLOSED, steps=90)
        yield from self._bring(over + [0, 0, self.release_m], CLOSED)
        yield from self._still(OPEN, OPEN_STEPS)
        yield from self._bring(over + [0, 0, self.release_m + CARRY_M], OPEN, steps=20)

    def _bring(self, target_m: Any, gripper: float, near_m: float = NEAR_M, steps: int = 60) -> Iterator[np.ndarray]:
        for _ in range(steps):
            off_m, turn_rad = np.asarray(target_m, np.float64) - self._hand(), self._turn_rad()
            if np.abs(off_m).max() < near_m and np.abs(turn_rad).max() < NEAR_RAD:
                return
            yield action_to(off_m, turn_rad, gripper)

    def _still(self, gripper: float, steps: int) -> Iterator[np.ndarray]:
        for _ in range(steps):
            yield action_to(np.zeros(3), np.zeros(3), gripper)

    def _held(self) -> bool:
        return bool(self._at(self.thing)[2] - self.lay_m > ABOVE_M / 2)

    def _underside_m(self) -> np.ndarray:
        """Its middle."""
        corners_m = boxes_of(self.sim.base, self.thing).corners_m()
        return np.array([*(corners_m[:, :2].min(0) + corners_m[:, :2].max(0)) / 2, corners_m[:, 2].min()])

    def _target_m(self) -> np.ndarray:
        """Where the middle of the thing's underside goes."""
        return np.array(self.sim.base.sim.data.get_site_xpos(self.region)) if self.region else self._at(self.place)

    def _hand(self) -> np.ndarray:
        return self.sim.sense()["eef_pos"].astype(np.float64)

    def _rotation(self) -> np.ndarray:
        base = self.sim.base
        return np.array(base.sim.data.site_xmat[base.robots[0].eef_site_id]).reshape(3, 3)

    def _axis_rad(self) -> float:
        along = self.sim.base.sim.data.get_body_xmat("gripper0_leftfinger")[:, 1]
        return float(np.arctan2(along[1], along[0]))

    def _turn_rad(self) -> np.ndarray:
        """From how the hand is turned to how it should be, as axis-angle (world)."""
        angle = self.axis_rad - self.first_axis_rad
        about_z = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        return rotation_vector(about_z @ self.upright @ self._rotation().T)

    def _at(self, name: str) -> np.ndarray:
        return self.sim.labels()[f"{name}_position_m"].astype(np.float64)


def rotation_vector(rotation: np.ndarray) -> np.ndarray:
    """Axis-angle [3] (rad) of a rotation [3, 3] of less than half a turn."""
    skew = (rotation - rotation.T) / 2
    axis = np.array([skew[2, 1], skew[0, 2], skew[1, 0]])
    sine = float(np.linalg.norm(axis))
    return axis * (np.arctan2(sine, (np.trace(rotation) - 1) / 2) / sine if sine > 1e-9 else 1.0)


def placing_of(base: Any) -> tuple[str, str, str]:
    """(thing, the object that it is brought to, the region of that or ""). Raises ValueError for a goal that is another one."""
    goal = [tuple(atom) for atom in base.parsed_problem["goal_state"]]
    if len(goal) == 1 and goal[0][0] in ("in", "on") and goal[0][1] in base.objects_dict:
        thing, place = goal[0][1:]
        owner = max((name for name in base.obj_body_id if place.startswith(name)), key=len, default="")
        if owner:
            return thing, owner, place if place != owner else ""
    raise ValueError(
        f"the goal {goal}: the scripted expert brings one thing to one other thing; choose task=libero_object, "
        "libero_spatial or libero_goal, or give recorded demos as demos.path=FOLDER"
    )


def action_to(off_m: np.ndarray, turn_rad: np.ndarray, gripper: float) -> np.ndarray:
    """[7] of OSC_POSE: towards where the hand (m) and its turn (axis-angle, rad) should be, slower where it is near."""
    fastest = np.array([FULL_TILT, FULL_TILT, 1.0])
    moves, turns = np.clip(off_m / FULL_SPEED_M, -1, 1), np.clip(turn_rad / FULL_SPEED_RAD, -fastest, fastest)
    return np.array([*moves, *turns, gripper], np.float32)
