"""Where cabinets and stoves stand as compiled, before a reset draws their places."""

from __future__ import annotations

from typing import Any

import numpy as np


class Fixtures:
    """LIBERO draws what lies in a drawer or on a stove relative to the fixture's place as compiled. A reset that does not compile
    finds it where the reset before left it, and the bowl would start a metre above its drawer."""

    def __init__(self, base: Any):
        root, self.poses = base.model.root, {}
        for fixture in base.fixtures_dict.values():
            told = root.find(f".//body[@name='{fixture.root_body}']")
            if told is not None:
                self.poses[fixture.root_body] = (_numbers(told, "pos", "0 0 0"), _numbers(told, "quat", "1 0 0 0"))

    def unplace(self, model: Any) -> None:
        if self.poses:
            self.place(model, np.concatenate([part for pose in self.poses.values() for part in pose]))

    def place(self, model: Any, poses: np.ndarray) -> None:
        """`poses` f64 [7 F], as `placed` gives them."""
        for name, pose in zip(self.poses, poses.reshape(-1, 7), strict=True):
            body = model.body_name2id(name)
            model.body_pos[body], model.body_quat[body] = pose[:3], pose[3:]

    def placed(self, model: Any) -> np.ndarray:
        """Where they stand now, (m, quat_wxyz) each: f64 [7 F]."""
        bodies = [model.body_name2id(name) for name in self.poses]
        return np.concatenate([part for body in bodies for part in (model.body_pos[body], model.body_quat[body])])


def _numbers(told: Any, key: str, usual: str) -> np.ndarray:
    return np.array([float(word) for word in told.get(key, usual).split()])
