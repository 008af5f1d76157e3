"""The wish's one file: a strided convolution, heat maps over its cells, and a token from each map's place."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from pirig.models.leaves import Leaf, lecun
from pirig.models.towers.door import Activations, Tower, require_settings

STRIDE_PX, CHANNELS = 8, 6


@dataclass(frozen=True)
class PlacesConfig:
    image_px: int
    heat_maps: int

    @property
    def tokens(self) -> int:
        return self.heat_maps

    @property
    def cells(self) -> int:
        return (self.image_px // STRIDE_PX) ** 2


def sized(size, image_px, patch_px, settings):
    require_settings("places", settings, ("heat_maps",))
    return PlacesConfig(image_px, **settings)


def leaves(config, width):
    return {
        "stem/kernel": lecun((STRIDE_PX, STRIDE_PX, 3, CHANNELS), 3 * STRIDE_PX**2),
        "heat/kernel": lecun((CHANNELS, config.heat_maps), CHANNELS),
        "out/kernel": lecun((CHANNELS + 2, width), CHANNELS + 2),
        "out/bias": Leaf((width,)),
    }


def encode(params, config, images, *, dtype, remat):
    pixels = jnp.concatenate([images[role] for role in sorted(images)])
    pixels = pixels / 127.5 - 1.0 if pixels.dtype == jnp.uint8 else pixels
    strides, axes = (STRIDE_PX, STRIDE_PX), ("NHWC", "HWIO", "NHWC")
    grid = jax.lax.conv_general_dilated(pixels, params["stem"]["kernel"], strides, "VALID", dimension_numbers=axes)
    side = grid.shape[1]
    cells = jax.nn.gelu(grid.reshape(len(grid), -1, CHANNELS))
    heat = jax.nn.softmax(cells @ params["heat"]["kernel"], axis=1)
    rows, columns = jnp.divmod(jnp.arange(side * side), side)
    place = jnp.einsum("nck,cx->nkx", heat, jnp.stack([columns, rows], axis=-1) / side)
    tokens = jnp.concatenate([place, jnp.einsum("nck,ncd->nkd", heat, cells)], axis=-1) @ params["out"]["kernel"]
    return (tokens + params["out"]["bias"]).astype(dtype).reshape(len(images), -1, *tokens.shape[1:])


def flops(config, width):
    products = {
        "stem/kernel": config.cells * 3 * STRIDE_PX**2 * CHANNELS,
        "heat/kernel": config.cells * CHANNELS * config.heat_maps,
        "out/kernel": config.heat_maps * (CHANNELS + 2) * width,
        "": config.cells * config.heat_maps * (CHANNELS + 2),
    }
    return {path: 2.0 * count for path, count in products.items()}


def activations(config, item_bytes):
    kept = config.cells * (2 * CHANNELS + 2 * config.heat_maps) * item_bytes
    return Activations(kept, kept, 0)


TOWER = Tower("places", "tower/places", PlacesConfig, sized, leaves, encode, flops, activations)
