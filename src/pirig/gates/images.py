"""Gates on the pixels of a data set: a camera that shows nothing is worse than none."""

from __future__ import annotations

import numpy as np

from pirig.datasets.lerobot.read import Dataset

SAMPLES = 8
FLAT = 2.0  # standard deviation over a frame, of 0..255


def shown(dataset: Dataset) -> list[str]:
    """Every camera's frames have content, use the range of uint8 and change over the data set."""
    sentences = []
    for role in dataset.roles:
        frames = sample(dataset, role)
        if frames.max() <= 1:
            sentences.append(
                f"{role} holds values from 0 to {frames.max()}: floats in 0..1 stored as uint8 (scaled twice)"
            )
        elif frames.std(axis=(1, 2, 3)).max() < FLAT:
            sentences.append(
                f"{role} is one flat colour (mean {frames.mean():.0f}) and marked valid; render it, or leave the camera out"
            )
        elif len(frames) > 1 and np.ptp(frames.astype(np.int16), axis=0).max() == 0:
            sentences.append(f"{role} is the same picture in all {len(frames)} sampled frames")
    return sentences


def sizes(dataset: Dataset) -> list[str]:
    """The frames have the size that the contract promises."""
    sentences = []
    for camera in dataset.contract.cameras:
        height, width = dataset.image(camera.role, 0).shape[:2]
        if (width, height) != (camera.width_px, camera.height_px):
            sentences.append(
                f"{camera.role} is {width} x {height} px in the data set, the contract says {camera.width_px} x "
                f"{camera.height_px}"
            )
    return sentences


def sample(dataset: Dataset, role: str) -> np.ndarray:
    """u8 [SAMPLES, H, W, 3], evenly over the data set."""
    rows = np.unique(np.linspace(0, dataset.frame_count - 1, SAMPLES).astype(int))
    return np.stack([dataset.image(role, int(row)) for row in rows])
