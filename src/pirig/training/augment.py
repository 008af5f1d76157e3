"""Augmentation on the device, inside the compiled step: uint8 in, float32 in [-1, 1] out."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Float

from pirig.transforms.images import unit_range

BRIGHTNESS = 0.2  # factor 1 +- this
CONTRAST = 0.2  # factor 1 +- this, about the image's mean


def random_shift(key: jax.Array, images: jax.Array, shift_px: int) -> jax.Array:
    """Each image of [B, H, W, 3] moved by up to `shift_px` in both axes, the border repeated. Keeps the type."""
    if shift_px == 0:
        return images
    batch, height, width, _ = images.shape
    padded = jnp.pad(images, ((0, 0), (shift_px, shift_px), (shift_px, shift_px), (0, 0)), mode="edge")
    corners = jax.random.randint(key, (batch, 2), 0, 2 * shift_px + 1)

    def crop(image: jax.Array, corner: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), (height, width, 3))

    return jax.vmap(crop)(padded, corners)


def jitter(
    key: jax.Array, images: Float[jax.Array, "batch height width 3"]
) -> Float[jax.Array, "batch height width 3"]:
    """Random brightness and contrast per image in [-1, 1]."""
    bright_key, contrast_key = jax.random.split(key)
    shape = (images.shape[0], 1, 1, 1)
    bright = jax.random.uniform(bright_key, shape, minval=1 - BRIGHTNESS, maxval=1 + BRIGHTNESS)
    contrast = jax.random.uniform(contrast_key, shape, minval=1 - CONTRAST, maxval=1 + CONTRAST)
    light = (images + 1.0) * bright
    mean = light.mean(axis=(1, 2, 3), keepdims=True)
    return jnp.clip((light - mean) * contrast + mean, 0.0, 2.0) - 1.0


def augment(key: jax.Array, images: Mapping[str, jax.Array], shift_px: int) -> dict[str, jax.Array]:
    """Every camera shifted and jittered on its own draws; the cameras' order does not matter (sorted by role)."""
    result = {}
    for number, role in enumerate(sorted(images)):
        shift_key, colour_key = jax.random.split(jax.random.fold_in(key, number))
        result[role] = jitter(colour_key, unit_range(random_shift(shift_key, images[role], shift_px)))
    return result
