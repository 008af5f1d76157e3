"""Where a thing is grasped, and how the hand is turned for it: a bowl at a free side of its rim, any other across its short side.

All shapes are boxes, as LIBERO's collision geometry is. An axis is the direction along which the fingers open, as an angle about
the world's z axis; the hand is the same half a turn on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

AT_RIM = ("akita_black_bowl",)  # the names that begin so; all others across
RIM_DEPTH_M, REACH_M = 0.03, 0.045  # of the fingers below a rim; below a tall thing's top, more and the palm meets it
RIM_WALL_M = 0.005  # what is so little below the highest point of a side is its rim too
OPEN_M = 0.052  # from the middle to an open finger's outside
PALM_M, PALM_SIDE_M, PALM_ABOVE_M = 0.1, 0.025, 0.032  # to the palm's end and its side; from the fingers up to it
WIDEST_M = 0.078  # that goes between the fingers
CLEAR_M = 0.015  # farther than this from everything is as good as any distance
TURN_COST_M = 0.006  # a radian's turn is worth so much clearance or width
FAR_COST = 0.03  # of a metre from the hand
LEAN_COST = 2.0  # of a metre by which a rim is higher at one side of the fingers than at the other
ANGLES = 24


@dataclass(frozen=True)
class Boxes:
    """Turned boxes in the world."""

    middles_m: Float[np.ndarray, "boxes 3"]
    rotations: Float[np.ndarray, "boxes 3 3"]
    halves_m: Float[np.ndarray, "boxes 3"]

    def corners_m(self) -> Float[np.ndarray, "corners 3"]:
        signs = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
        offsets = np.einsum("bij,bcj->bci", self.rotations, signs * self.halves_m[:, None])
        return (self.middles_m[:, None] + offsets).reshape(-1, 3)

    def distance_m(self, points_m: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, " points"]:
        """Of each point to the nearest box; 0 inside one, infinite without any."""
        own = np.einsum("bij,bpi->bpj", self.rotations, points_m[None] - self.middles_m[:, None])
        off_m = np.maximum(np.abs(own) - self.halves_m[:, None], 0)
        return np.linalg.norm(off_m, axis=-1).min(axis=0, initial=np.inf)


@dataclass(frozen=True)
class Grasp:
    """Where the point between the fingertips goes, and the axis along which the fingers open."""

    at_m: Float[np.ndarray, " 3"]
    axis_rad: float


@dataclass(frozen=True)
class Room:
    """What the hand is not to touch, and how far it has gone with the thing when it comes there."""

    others: Boxes
    gone_m: Float[np.ndarray, " 3"] = field(default_factory=lambda: np.zeros(3))

    def lacks_m(self, grasp: Grasp) -> float:
        """By how much the hand's points together are nearer to these than is good."""
        return float(np.maximum(0, CLEAR_M - self.others.distance_m(_hand_m(grasp) + self.gone_m)).sum())


def grasps_of(name: str, thing: Boxes, rooms: list[Room], hand: Grasp) -> list[Grasp]:
    """The best first. `rooms`: where the thing is taken, and where it goes. `hand`: where it is and its axis now; what needs less
    turning, and is nearer, is better."""
    found = _at_rim(thing) if name.startswith(AT_RIM) else _across(thing)
    costs = [
        cost
        + TURN_COST_M * abs(turn_between(hand.axis_rad, grasp.axis_rad))
        + FAR_COST * float(np.linalg.norm(grasp.at_m - hand.at_m))
        + sum(room.lacks_m(grasp) for room in rooms)
        for grasp, cost in found
    ]
    return [found[number][0] for number in np.argsort(costs, kind="stable")]


def nearest(grasps: list[Grasp], wanted: Grasp) -> Grasp:
    """The one that is least moved and turned from another; those of a box are all at its middle."""
    return min(
        grasps,
        key=lambda grasp: (
            float(np.linalg.norm(grasp.at_m - wanted.at_m))
            + WIDEST_M * abs(turn_between(grasp.axis_rad, wanted.axis_rad))
        ),
    )


def turn_between(axis_rad: float, other_rad: float) -> float:
    """From one axis of the fingers to another, at most a quarter of a turn (rad)."""
    return float((other_rad - axis_rad + np.pi / 2) % np.pi - np.pi / 2)


def _at_rim(thing: Boxes) -> list[tuple[Grasp, float]]:
    """All around, of a bowl that leans too; (grasp, its cost: where the rim runs up or down, fingers slip)."""
    (low, high), corners = _extent_m(thing), thing.corners_m()
    off_m = corners[:, :2] - (low + high)[:2] / 2
    angles_rad, found = np.arctan2(off_m[:, 1], off_m[:, 0]), []
    for angle in np.arange(ANGLES) * 2 * np.pi / ANGLES:
        off_rad = np.abs((angles_rad - angle + np.pi) % (2 * np.pi) - np.pi)
        side = off_rad <= max(2 * np.pi / ANGLES, off_rad.min())
        rim = side & (corners[:, 2] > corners[side, 2].max() - RIM_WALL_M)
        far_m = np.linalg.norm(off_m[rim], axis=1).mean()
        middle = (low + high)[:2] / 2 + far_m * np.array([np.cos(angle), np.sin(angle)])
        found.append(Grasp(np.array([*middle, corners[rim, 2].max() - RIM_DEPTH_M]), float(angle)))
    heights_m = np.array([grasp.at_m[2] for grasp in found])
    leans_m = np.abs(np.roll(heights_m, 1) - np.roll(heights_m, -1))
    return list(zip(found, LEAN_COST * leans_m, strict=True))


def _across(thing: Boxes) -> list[tuple[Grasp, float]]:
    """At the middle, or nearer to the top of what is tall; (grasp, how wide the thing is there, and 1 where that is too wide)."""
    (low, high), corners = _extent_m(thing), thing.corners_m()[:, :2]
    height_m, found = max((low[2] + high[2]) / 2, high[2] - REACH_M), []
    for angle in np.arange(ANGLES) * np.pi / ANGLES:
        along, beside = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        off, side = corners @ along, corners @ beside
        middle = along * (off.max() + off.min()) / 2 + beside * (side.max() + side.min()) / 2
        width_m = float(np.ptp(off))
        found.append((Grasp(np.array([*middle, height_m]), float(angle)), width_m + (width_m > WIDEST_M)))
    return found


def _hand_m(grasp: Grasp) -> Float[np.ndarray, "points 3"]:
    """Points of both open fingers and of the palm's underside."""
    along = np.array([np.cos(grasp.axis_rad), np.sin(grasp.axis_rad), 0])
    beside = np.array([-along[1], along[0], 0])
    fingers = [(side * OPEN_M, 0.0, above) for side in (-1, 1) for above in np.linspace(0, PALM_ABOVE_M, 3)]
    palm = [(far, side * PALM_SIDE_M, PALM_ABOVE_M) for far in np.linspace(-PALM_M, PALM_M, 9) for side in (-1, 0, 1)]
    return np.array(
        [grasp.at_m + far * along + side * beside + [0, 0, above] for far, side, above in [*fingers, *palm]]
    )


def _extent_m(thing: Boxes) -> tuple[np.ndarray, np.ndarray]:
    corners = thing.corners_m()
    return corners.min(0), corners.max(0)
