"""ManiSkill answers for all scenes of an environment at once, in torch; we compute with NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def batched(value: Any) -> np.ndarray:
    """A copy in the main memory; the first axis counts the scenes."""
    return np.array(value.cpu() if hasattr(value, "cpu") else value)


def one_scene(values: Mapping[str, np.ndarray], number: int) -> dict[str, np.ndarray]:
    """One scene's part of batched values."""
    return {name: array[number] for name, array in values.items()}
