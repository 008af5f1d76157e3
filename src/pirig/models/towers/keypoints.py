"""Convolutions that name places: a token for each heat map, from where it points and what is there.

A place is the expected position under a softmax over cells, so it lies between cells: an object that moves by a part of a
pixel moves it. After spatial soft-argmax (Levine et al. 2016, arXiv:1504.00702) and Fourier features of a position
(Tancik et al. 2020, arXiv:2006.10739). All cameras share the weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float, Num

from pirig.models.layers import run_layers
from pirig.models.leaves import Leaf, Specs, Tree, lecun
from pirig.models.towers.door import Activations, Tower, require_settings
from pirig.transforms.images import unit_range

ROOT = "tower/keypoints"
EPSILON = 1e-6
KERNEL = 3  # cells, of every convolution
SHARP = 1.0  # standard deviation of a heat map's fresh logits: it looks at about a third of the cells
AXES = ("NHWC", "HWIO", "NHWC")
VECTORS = ("bias", "scale", "pos_embedding")  # leaves that are no matrix product


@dataclass(frozen=True)
class KeypointsConfig:
    """Square images of `image_px`, looked at in square cells of `cell_px`."""

    image_px: int
    channels: int
    blocks: int
    heat_maps: int
    cell_px: int = 4
    frequencies: int = 5

    def __post_init__(self) -> None:
        for name, least in (("channels", 1), ("blocks", 0), ("heat_maps", 1), ("cell_px", 1), ("frequencies", 0)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise ValueError(f"tower.settings.{name}={value}: expected a whole number, at least {least}")
        if self.image_px % self.cell_px:
            raise ValueError(
                f"image_px={self.image_px} is not a multiple of tower.settings.cell_px={self.cell_px}; change one."
            )

    @property
    def tokens(self) -> int:
        return self.heat_maps

    @property
    def side(self) -> int:
        """Cells in a row of the picture."""
        return self.image_px // self.cell_px

    @property
    def place_numbers(self) -> int:
        """What a token is told of its place: x, y, and sines and cosines of both."""
        return 2 + 4 * self.frequencies


SIZES = {
    "full": KeypointsConfig(image_px=224, channels=256, blocks=8, heat_maps=64),
    "small": KeypointsConfig(image_px=128, channels=96, blocks=6, heat_maps=64),
    "tiny": KeypointsConfig(image_px=128, channels=32, blocks=4, heat_maps=32),
}
SETTINGS = tuple(field.name for field in fields(KeypointsConfig) if field.name != "image_px")


def sized(size: str, image_px: int, patch_px: int | None, settings: Mapping[str, Any]) -> KeypointsConfig:
    """A setting that is null is the size's."""
    require_settings("keypoints", settings, SETTINGS)
    chosen = {name: value for name, value in settings.items() if value is not None}
    return replace(SIZES[size], image_px=image_px, **chosen)


def leaves(config: KeypointsConfig, width: int) -> Specs:
    channels, depth, pixels = config.channels, config.blocks, 3 * config.cell_px**2
    numbers, area = channels + config.place_numbers, KERNEL**2
    blocks = {
        "layers/scale": Leaf((depth, channels), "ones"),
        "layers/bias": Leaf((depth, channels)),
        "layers/kernel": lecun((depth, KERNEL, KERNEL, channels, channels), area * channels),
    }
    return {
        "stem/kernel": lecun((KERNEL, KERNEL, pixels, channels), area * pixels),
        "stem/bias": Leaf((channels,)),
        **(blocks if depth else {}),
        "norm/scale": Leaf((channels,), "ones"),
        "norm/bias": Leaf((channels,)),
        "heat/kernel": Leaf((channels, config.heat_maps), "normal", SHARP * channels**-0.5),
        "token/kernel": lecun((numbers, width), numbers),
        "token/pos_embedding": Leaf((config.heat_maps, width), "normal", 1.0),
    }


def flops(config: KeypointsConfig, width: int) -> dict[str, float]:
    """A convolution meets every cell, a token's matrix every token; what a heat map pools, and where, has no leaf."""
    cells = config.side**2
    met = {path: config.heat_maps if path.startswith("token/") else cells for path in leaves(config, width)}
    by_leaf = {
        path: 2.0 * met[path] * math.prod(leaf.shape)
        for path, leaf in leaves(config, width).items()
        if path.rsplit("/", 1)[-1] not in VECTORS
    }
    return by_leaf | {"": 2.0 * cells * config.heat_maps * (config.channels + 2)}


def activations(config: KeypointsConfig, item_bytes: int) -> Activations:
    """A block keeps what it was given, its float32 norm and what it rectifies; the ends keep pixels and heat maps."""
    cells = config.side**2
    layer = cells * config.channels * (3 * item_bytes + 4)
    ends = cells * (3 * config.cell_px**2 + 2 * config.channels + 2 * config.heat_maps) * 4
    inputs = cells * config.channels * config.blocks * item_bytes
    return Activations(layer * config.blocks + ends, inputs + ends, layer)


def encode(
    params: Tree, config: KeypointsConfig, images: Mapping[str, jax.Array], *, dtype: Any, remat: bool
) -> Float[jax.Array, "cameras batch tokens width"]:
    return encode_with_heat(params, config, images, dtype=dtype, remat=remat)[0]


def encode_with_heat(
    params: Tree, config: KeypointsConfig, images: Mapping[str, jax.Array], *, dtype: Any, remat: bool
) -> tuple[
    Float[jax.Array, "cameras batch tokens width"],
    Float[jax.Array, "cameras batch {config.side} {config.side} {config.heat_maps}"],
]:
    stacked = jnp.concatenate([images[role] for role in sorted(images)])
    cells = see(params, config, stacked, dtype=dtype, remat=remat)
    heat, places, log_heat = look(params, config, cells)
    features = jnp.einsum("nck,ncd->nkd", heat, cells.astype(jnp.float32))
    told = jnp.concatenate([features, place_features(places, config.frequencies)], axis=-1).astype(dtype)
    token = params["token"]
    tokens = told @ token["kernel"].astype(dtype) + token["pos_embedding"].astype(dtype)
    maps = log_heat.reshape(len(images), -1, config.side, config.side, config.heat_maps)
    return tokens.reshape(len(images), -1, *tokens.shape[1:]), maps


def see(
    params: Tree,
    config: KeypointsConfig,
    images: Num[jax.Array, "image {config.image_px} {config.image_px} 3"],
    *,
    dtype: Any,
    remat: bool,
) -> Float[jax.Array, "image {config.side**2} {config.channels}"]:
    """uint8, or float in [-1, 1] -> what is in each cell, rows first, in `dtype`."""
    x = _convolved(_cells(unit_range(images), config.cell_px).astype(dtype), params["stem"])
    if config.blocks:
        x, _ = run_layers(lambda x, block: (_block(x, block), None), x, params["layers"], config.blocks, remat=remat)
    return _rms_norm(x, params["norm"]).reshape(len(images), -1, config.channels)


def look(
    params: Tree, config: KeypointsConfig, cells: Float[jax.Array, "image cells channels"]
) -> tuple[
    Float[jax.Array, "image cells maps"], Float[jax.Array, "image maps 2"], Float[jax.Array, "image cells maps"]
]:
    """Heat maps that sum to 1, the expected (x, y) of each, -1 to 1 from edge to edge, and the maps' logarithms. Float32 in every
    dtype and on every device: a bfloat16 place would be 1/256 of the picture apart from the next."""
    logits = cells.astype(jnp.float32) @ params["heat"]["kernel"]
    heat = jax.nn.softmax(logits, axis=1)
    middles = (2.0 * jnp.arange(config.side) + 1.0) / config.side - 1.0
    grid = jnp.stack([jnp.tile(middles, config.side), jnp.repeat(middles, config.side)], axis=-1)
    places = jnp.einsum("nck,cx->nkx", heat, grid, precision=jax.lax.Precision.HIGHEST)
    return heat, places, jax.nn.log_softmax(logits, axis=1)


def place_features(places: Float[jax.Array, "*lead 2"], frequencies: int) -> Float[jax.Array, "*lead numbers"]:
    """x, y, then sines and cosines of both: half a period over the picture, one, two, four, ..."""
    angles = [places * (math.pi / 2 * 2.0**octave) for octave in range(frequencies)]
    return jnp.concatenate([places, *(wave(angle) for angle in angles for wave in (jnp.sin, jnp.cos))], axis=-1)


def _cells(images: jax.Array, size: int) -> jax.Array:
    """[N, H, W, 3] -> [N, H / size, W / size, size * size * 3]: space to depth."""
    n, height, width, colours = images.shape
    grid = images.reshape(n, height // size, size, width // size, size, colours).transpose(0, 1, 3, 2, 4, 5)
    return grid.reshape(n, height // size, width // size, size * size * colours)


def _block(x: jax.Array, params: Tree) -> jax.Array:
    return x + jax.lax.conv_general_dilated(
        jax.nn.relu(_rms_norm(x, params)), params["kernel"].astype(x.dtype), (1, 1), "SAME", dimension_numbers=AXES
    )


def _convolved(x: jax.Array, params: Tree) -> jax.Array:
    kernel = params["kernel"].astype(x.dtype)
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=AXES) + params["bias"].astype(
        x.dtype
    )


def _rms_norm(x: jax.Array, params: Tree) -> jax.Array:
    """Over the channels of a cell. Without their mean: a quarter of the tower's gradient went into it."""
    wide = x.astype(jnp.float32)
    size = jax.lax.rsqrt(jnp.square(wide).mean(axis=-1, keepdims=True) + EPSILON)
    return (wide * (size * params["scale"]) + params["bias"]).astype(x.dtype)


TOWER = Tower(
    name="keypoints",
    root=ROOT,
    config=KeypointsConfig,
    sized=sized,
    leaves=leaves,
    encode=encode,
    encode_with_heat=encode_with_heat,
    flops=flops,
    activations=activations,
)
