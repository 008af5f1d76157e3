"""A tiny checkpoint of pi05_libero's layout: params/ and assets/physical-intelligence/libero/norm_stats.json."""

from pathlib import Path

import numpy as np

from pirig.config.load import compose
from pirig.transforms.normalize import NormStats
from tests import openpi_checkpoint

WORDS = ["experiment=libero_published", "size=tiny", "size.image_px=224", "size.patch_px=32", "weights=local"]
PADDED = 32  # openpi pads state and actions, and writes the statistics so


def write(folder: Path) -> list[str]:
    """The words that measure it."""
    words = [*WORDS, f"weights.path={folder}"]
    both = {"state": stats(8), "actions": stats(7)}
    openpi_checkpoint.write(folder, compose(words), "physical-intelligence/libero", both)
    return words


def stats(width: int) -> NormStats:
    zeros = np.zeros(PADDED - width)
    return NormStats(*(np.concatenate([np.full(width, value), zeros]) for value in (0.0, 0.5, -1.0, 1.0)))
