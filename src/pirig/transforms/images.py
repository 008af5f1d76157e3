"""Pixels: the one place where an image changes its size and its range (openpi's: PIL bilinear, black borders, -1 to 1)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

TEST_SIZES_PX = ((48, 64), (200, 120))  # height, width: one that most models enlarge, one that they shrink


def resize(images: np.ndarray, px: int, how: str = "pad") -> np.ndarray:
    """u8 [..., H, W, 3] -> u8 [..., px, px, 3]; `how` is the contract's, one of RESIZES."""
    return resize_named(how)(images, px)


def resize_named(how: str) -> Callable[[np.ndarray, int], np.ndarray]:
    """Raises ValueError that lists the known ones."""
    if how not in RESIZES:
        raise ValueError(f"size.resize={how}: expected one of {', '.join(RESIZES)} (src/pirig/transforms/images.py).")
    return RESIZES[how]


def resized_places(places: np.ndarray, size_px: tuple[int, int], px: int, how: str = "pad") -> np.ndarray:
    """Where what stands at `places` f32 [..., 2] of a picture of `size_px` (height, width) is once it is resized; x to the right,
    y down, -1 to 1 from edge to edge. NaN for a resize that says nothing of it (PLACES)."""
    return PLACES[how](places, *size_px, px) if how in PLACES else np.full_like(places, np.nan)


def unit_range(images: Any) -> Any:
    """u8 0..255 -> f32 in [-1, 1]; floats are taken to be there already. numpy's arrays, jax's, and traced ones."""
    wide = images.astype(np.float32)
    return wide / 255.0 * 2.0 - 1.0 if images.dtype == np.uint8 else wide


def pixels_digest(px: int, how: str) -> str:
    """16 hex digits of what test pictures become on their way to the model: another resize or range is another digest."""
    digest = hashlib.sha256()
    for height, width in TEST_SIZES_PX:
        model_image = unit_range(resize(_test_picture(height, width), px, how))
        digest.update(f"{model_image.dtype} {model_image.shape}".encode() + model_image.tobytes())
    return digest.hexdigest()[:16]


def _test_picture(height: int, width: int) -> np.ndarray:
    """u8 [height, width, 3]: slopes of three colours, with edges where they wrap."""
    row, column = np.mgrid[:height, :width]
    return np.stack([3 * row + 5 * column, 7 * row - 2 * column, row * column // 8], axis=-1).astype(np.uint8)


def resize_with_pad(images: np.ndarray, px: int) -> UInt8[np.ndarray, "*lead {px} {px} 3"]:
    """u8 [..., H, W, 3]: the longer side becomes `px`, the rest is centred black border.

    Bilinear with antialiasing, as openpi_client.image_tools (Apache-2.0) does it; equal-sized images pass untouched.
    Raises ValueError for other than uint8 of three channels.
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


def _places_with_pad(places: np.ndarray, height: int, width: int, px: int) -> np.ndarray:
    high, wide = _fitted(height, width, px)
    return places * np.array([wide, high], np.float32) / px


RESIZES: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {"pad": resize_with_pad}  # by size.resize
PLACES: dict[str, Callable[[np.ndarray, int, int, int], np.ndarray]] = {"pad": _places_with_pad}  # likewise
