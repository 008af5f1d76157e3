"""A simulator that paints: a red square whose corner is the scene's, and a bar as long as the arm's first joint says."""

import numpy as np

from pirig.sim.door import Observation

SIZE_PX, SQUARE_PX = 32, 6
WORDS = [
    "experiment=quickstart", "model=pi0", f"camera.resolution_px={SIZE_PX}", f"size.image_px={SIZE_PX}", "tower=keypoints",
    "tower.settings={channels: 8, blocks: 1, heat_maps: 4, frequencies: 2}", "task.simulator=painted",
]  # fmt: skip


def place_m(scene):
    """Of the square's corner; a pixel is 10 mm."""
    return np.random.default_rng(scene).uniform(0.0, 0.01 * (SIZE_PX - SQUARE_PX), 2)


class PaintedSimulator:
    def __init__(self, contract):
        self.contract, self.joints = contract, np.zeros(9, np.float32)

    def arrange(self, scene, joints, *, rebuild):
        self.scene, self.joints = scene, joints

    def observe(self):
        image = np.full((SIZE_PX, SIZE_PX, 3), 60, np.uint8)
        image[-1, : int(SIZE_PX * abs(np.sin(self.joints[0])))] = 255
        edges, corner = np.arange(SIZE_PX), 100 * place_m(self.scene)
        covered = [
            np.clip(np.minimum(edges + 1, at + SQUARE_PX) - np.maximum(edges, at), 0, 1)
            for at in (corner[0], corner[1])
        ]
        image[..., 0] = np.maximum(image[..., 0], 60 + 190 * covered[1][:, None] * covered[0][None])
        return Observation({camera.role: image for camera in self.contract.cameras}, {})

    def in_sight(self):
        return None

    def in_picture(self, points_m):
        """The corner of the square."""
        return {camera.role: points_m[:, :2] * (200 / SIZE_PX) - 1 for camera in self.contract.cameras}

    def labels(self):
        return {"square_position_m": np.array([*place_m(self.scene), 0.0], np.float32)}

    def close(self):
        pass


class Painted:
    """Its implementation, found by its place in every process."""

    def missing(self):
        return ""

    def prepare(self):
        pass

    def open(self, contract):
        return PaintedSimulator(contract)


class TwoSquares(PaintedSimulator):
    """One on each half of a picture that is brighter on the right; which is the first, a coin says."""

    def observe(self):
        image = np.repeat(np.linspace(20, 120, SIZE_PX, dtype=np.uint8)[None, :, None], SIZE_PX, axis=0).repeat(
            3, axis=2
        )
        for x, y in np.round(100 * self.places()).astype(int):
            image[y : y + SQUARE_PX, x : x + SQUARE_PX] = (250, 60, 60)
        return Observation({camera.role: image for camera in self.contract.cameras}, {})

    def places(self):
        draw = np.random.default_rng(self.scene)
        places = draw.uniform(0.0, 0.01 * (SIZE_PX / 2 - SQUARE_PX), (2, 2)) + [[0, 0.05], [0.01 * SIZE_PX / 2, 0.05]]
        return places[draw.permutation(2)]

    def labels(self):
        return {f"square_{at}_position_m": np.array([*place, 0], np.float32) for at, place in enumerate(self.places())}


class PaintedTwo(Painted):
    def open(self, contract):
        return TwoSquares(contract)
