"""Pictures of robosuite's renderer, bit for bit, without what nobody can see in them.

MuJoCo sends every mesh to OpenGL wherever it is, and once more for what the stove's polished top reflects, in sight or not. In
software most of a picture's time is these faces, 300,000 of a scene, of which the hand's camera sees a third.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

PLANE, BOX, MESH = 0, 6, 7  # MuJoCo's numbers of these kinds
REFLECTION = 2  # and of that flag
UNSEEN = 5  # the group of geoms that robosuite's renderer leaves out
SLACK_PX = 2  # more than any rounding moves a vertex


@dataclass(frozen=True)
class Window:
    """A part of a camera's picture, as tangents of angles from where it looks."""

    left: float
    right: float
    low: float
    high: float

    def misses(
        self, middles_m: Float[np.ndarray, "geoms 3"], halves_m: Float[np.ndarray, "geoms 3 3"]
    ) -> Bool[np.ndarray, " geoms"]:
        """Which boxes, in the camera's frame, `halves_m` in columns, are wholly beyond one of its sides or behind the camera."""
        sides = [[1, 0, self.right], [-1, 0, -self.left], [0, 1, self.high], [0, -1, -self.low], [0, 0, 1]]
        outwards = np.array(sides)  # a camera looks along -z
        nearest_m = middles_m @ outwards.T - np.abs(np.einsum("sj,gjk->gsk", outwards, halves_m)).sum(-1)
        return (nearest_m > 0).any(1)


class Sight:
    """Of one compiled model."""

    def __init__(self, base: Any):
        self.sim, self.model, self.data = base.sim, base.sim.model._model, base.sim.data._data
        self.scene = base.sim._render_context_offscreen.scn
        shown = np.array(base.sim._render_context_offscreen.vopt.geomgroup, bool)
        assert not shown[UNSEEN]
        model = self.model
        flat = shown[model.geom_group] & np.isin(model.geom_type, [PLANE, BOX]) & (model.geom_matid >= 0)
        self.mirrors = [geom for geom in np.flatnonzero(flat) if model.mat_reflectance[model.geom_matid[geom]]]
        self.meshes = model.geom_type == MESH
        boxes_only = all(model.geom_type[geom] == BOX for geom in self.mirrors)
        self.known = not model.light_castshadow.any() and len(self.mirrors) <= 1 and boxes_only

    def picture(self, camera: str, width_px: int, height_px: int) -> np.ndarray:
        """u8 [H, W, 3], the lowest row first. Shadows and two mirrors are drawn as MuJoCo draws them."""
        if not self.known:
            return self.sim.render(camera_name=camera, width=width_px, height=height_px)
        view = _View(self, self.model.camera(camera).id, width_px, height_px)
        unseen = view.window(0, 0, width_px, height_px).misses(*view.boxes)
        reflecting_px = view.mirror_px(self.mirrors[0]) if self.mirrors else None
        if reflecting_px:
            unseen &= view.window(*reflecting_px).misses(*view.reflected(self.mirrors[0]))
        with self._without(unseen, reflection=reflecting_px is not None):
            return self.sim.render(camera_name=camera, width=width_px, height=height_px)

    @contextmanager
    def _without(self, geoms: Bool[np.ndarray, " geoms"], *, reflection: bool) -> Iterator[None]:
        groups, flag = self.model.geom_group.copy(), self.scene.flags[REFLECTION]
        self.model.geom_group[self.meshes & geoms] = UNSEEN
        self.scene.flags[REFLECTION] = reflection
        try:
            yield
        finally:
            self.model.geom_group[:], self.scene.flags[REFLECTION] = groups, flag


class _View:
    """Where everything is from one camera now, in its frame."""

    def __init__(self, sight: Sight, camera: int, width_px: int, height_px: int):
        self.model, self.data = sight.model, sight.data
        self.size_px = np.array([width_px, height_px])
        self.half = np.tan(np.deg2rad(self.model.cam_fovy[camera]) / 2) * self.size_px / height_px
        self.at_m, self.to_camera = self.data.cam_xpos[camera], self.data.cam_xmat[camera].reshape(3, 3)
        rotations, aabb = self.data.geom_xmat.reshape(-1, 3, 3), self.model.geom_aabb
        middles_m = self.data.geom_xpos + np.einsum("gij,gj->gi", rotations, aabb[:, :3])
        halves_m = np.einsum("ji,gjk->gik", self.to_camera, rotations * aabb[:, None, 3:])
        self.boxes = (middles_m - self.at_m) @ self.to_camera, halves_m

    def window(self, left: int, low: int, right: int, high: int) -> Window:
        """Of these pixels, a little wider."""
        edges = np.array([[left, low], [right, high]]) + [[-SLACK_PX], [SLACK_PX]]
        (west, south), (east, north) = (2 * edges / self.size_px - 1) * self.half
        return Window(west, east, south, north)

    def reflected(self, mirror: int) -> tuple[np.ndarray, np.ndarray]:
        """The boxes where that mirror, the upper side of a box, shows them."""
        middles_m, halves_m = self.boxes
        corners_m, up = self._top(mirror)
        off_m = (middles_m - corners_m[0]) @ up
        return middles_m - 2 * off_m[:, None] * up, halves_m - 2 * up[None, :, None] * (up @ halves_m)[:, None]

    def mirror_px(self, mirror: int) -> tuple[int, int, int, int] | None:
        """(left, low, right, high) of the pixels that it may reflect in; None where there are none."""
        corners_m, up = self._top(mirror)
        if corners_m[0] @ up > 1e-4:
            return None  # it is seen from below
        if (corners_m[:, 2] > -1e-3).any():
            return 0, 0, int(self.size_px[0]), int(self.size_px[1])  # it reaches behind the camera
        places = (corners_m[:, :2] / -corners_m[:, 2:] / self.half + 1) / 2 * self.size_px
        left, low = np.clip(np.floor(places.min(0)) - SLACK_PX, 0, self.size_px).astype(int).tolist()
        right, high = np.clip(np.ceil(places.max(0)) + SLACK_PX, 0, self.size_px).astype(int).tolist()
        return (left, low, right, high) if left < right and low < high else None

    def _top(self, geom: int) -> tuple[Float[np.ndarray, "4 3"], np.ndarray]:
        """The corners of a box's upper side and which way that looks."""
        rotation, size_m = self.data.geom_xmat[geom].reshape(3, 3), self.model.geom_size[geom]
        signs = np.array([[-1, -1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, 1]])
        corners_m = self.data.geom_xpos[geom] + (signs * size_m) @ rotation.T
        return (corners_m - self.at_m) @ self.to_camera, rotation[:, 2] @ self.to_camera
