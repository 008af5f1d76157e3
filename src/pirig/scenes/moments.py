"""What stood where while a demo was made, so that a scene can be one of its moments with the arm a little elsewhere: a thing that
the hand holds goes with it. No task's reset shows a thing in the hand, and few a hand in front of it. All of it is turned about
the arm's base besides, since demos show a few hundred places of what stands."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import RigidTransform, Rotation

WINDOW = 5  # steps before and after a moment
MOVED_M = 0.004  # what moves less in the window stands
TURN_RAD = 0.1  # a scene is turned by up to so much: 70 mm at 0.7 m
UPRIGHT_RAD = 0.01
WITH_HAND_M = 0.002  # what the hand holds moves less than this as the hand sees it


@dataclass(frozen=True)
class Moments:
    """Of one demo: `scene`, where it began; `joints` f32 [T, J] as the simulator has them, `hand` f32 [T, 7] and of each thing
    f32 [T, 7] in `things` (m, quat_wxyz, in the world), `held` bool [T] whether it moves with the hand."""

    scene: int
    joints: np.ndarray
    hand: np.ndarray
    things: Mapping[str, np.ndarray]
    held: Mapping[str, np.ndarray]

    def poses(self, moment: int, hand: np.ndarray, turned: np.ndarray) -> dict[str, np.ndarray]:
        """Where the things are when the hand is at `hand` f32 [7] in place of where it was, and all of it is turned until the
        hand is at `turned` f32 [7].

        Raises ValueError where that is no turn about the vertical, in which things would float.
        """
        about = _transform(turned) * _transform(hand).inv()
        tilt_rad = np.linalg.norm(about.rotation.apply([0.0, 0.0, 1.0])[:2])
        if tilt_rad > UPRIGHT_RAD:
            raise ValueError(
                f"the arm's first joint tilts the hand by {tilt_rad:.3f} rad where it should turn it about the vertical, so no "
                "scene can be turned with it; choose scenes.near_demos=0"
            )
        carried = _transform(turned) * _transform(self.hand[moment]).inv()
        return {
            name: _pose((carried if self.held[name][moment] else about) * _transform(at[moment]))
            for name, at in self.things.items()
        }


def are_held(things: Mapping[str, np.ndarray], hand: np.ndarray) -> dict[str, np.ndarray]:
    """Of each thing f32 [T, 7], every step of a demo, whether it moves with the hand then, bool [T]."""
    there = {name: _of_points(at[:, :3], hand) for name, at in things.items()}
    return {
        name: (_travelled(at[:, :3]) >= MOVED_M) & (_travelled(there[name]) < WITH_HAND_M)
        for name, at in things.items()
    }


def digest_of(demos: Sequence[Moments]) -> str:
    made = hashlib.sha256()
    for demo in demos:
        made.update(str(demo.scene).encode())
        for array in (demo.joints, demo.hand, *(demo.things[name] for name in sorted(demo.things))):
            made.update(np.ascontiguousarray(array, np.float32).tobytes())
    return made.hexdigest()


def _of_points(points_m: np.ndarray, hand: np.ndarray) -> np.ndarray:
    """Points of the world [T, 3] as the hand [T, 7] sees them, [T, 3]."""
    turns = Rotation.from_quat(hand[:, 3:], scalar_first=True)
    return turns.apply(points_m - hand[:, :3], inverse=True)


def _travelled(points_m: np.ndarray) -> np.ndarray:
    """How far points [T, 3] go in the window around each step, m [T]: the diagonal of the box that they stay in."""
    padded = np.pad(points_m, ((WINDOW, WINDOW), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * WINDOW + 1, axis=0)
    return np.linalg.norm(windows.max(axis=-1) - windows.min(axis=-1), axis=-1)


def _transform(pose: np.ndarray) -> RigidTransform:
    return RigidTransform.from_components(pose[:3], Rotation.from_quat(pose[3:], scalar_first=True))


def _pose(transform: RigidTransform) -> np.ndarray:
    return np.concatenate([transform.translation, transform.rotation.as_quat(scalar_first=True)]).astype(np.float32)
