"""Pixels: the one place where an image changes its size (openpi's data path: PIL bilinear, black borders)."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from PIL import Image


def resize_with_pad(
    images: UInt8[np.ndarray, "*lead height width 3"], px: int
) -> UInt8[np.ndarray, "*lead {px} {px} 3"]:
    """The longer side becomes `px`, the rest is centred black border.

    Bilinear with antialiasing, as openpi_client.image_tools (Apache-2.0) does it; equal-sized images pass untouched.
    """
    if images.dtype != np.uint8 or images.shape[-1] != 3:
        raise ValueError(f"images must be uint8 [..., height, width, 3]; got {images.dtype} {list(images.shape)}")
    if images.shape[-3:-1] == (px, px):
        return images
    flat = images.reshape(-1, *images.shape[-3:])
    out = np.zeros((len(flat), px, px, 3), np.uint8)
    height, width = _fitted(images.shape[-3], images.shape[-2], px)
    top, left = (px - height) // 2, (px - width) // 2
    for index, image in enumerate(flat):
        resized = Image.fromarray(image).resize((width, height), resample=Image.Resampling.BILINEAR)
        out[index, top : top + height, left : left + width] = np.asarray(resized)
    return out.reshape(*images.shape[:-3], px, px, 3)


def _fitted(height: int, width: int, px: int) -> tuple[int, int]:
    ratio = max(width / px, height / px)
    return max(1, int(height / ratio)), max(1, int(width / ratio))
