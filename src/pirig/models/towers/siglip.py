"""SigLIP's image encoder (ViT, pre-norm), without its pooling head, under openpi's own paths."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float, Num

from pirig.models.layers import layer_bytes, run_layers
from pirig.models.leaves import Leaf, Specs, Tree, lecun, xavier
from pirig.models.towers.door import Activations, Tower, require_settings
from pirig.models.waves import waves
from pirig.transforms.images import unit_range

ROOT = "PaliGemma/img"
EPSILON = 1e-6
VECTORS = ("bias", "scale", "pos_embedding")  # leaves that are no matrix product


@dataclass(frozen=True)
class SiglipConfig:
    """Square images of `image_px`, cut into square patches of `patch_px`."""

    width: int
    depth: int
    mlp_dim: int
    num_heads: int
    patch_px: int
    image_px: int = 224

    def __post_init__(self) -> None:
        if self.image_px % self.patch_px:
            raise ValueError(f"image_px={self.image_px} is not a multiple of patch_px={self.patch_px}; change one.")
        if self.width % self.num_heads:
            raise ValueError(f"image width {self.width} does not divide into {self.num_heads} heads.")

    @property
    def tokens(self) -> int:
        return (self.image_px // self.patch_px) ** 2


SIZES = {
    "full": SiglipConfig(width=1152, depth=27, mlp_dim=4304, num_heads=16, patch_px=14),  # So400m/14
    "small": SiglipConfig(width=384, depth=8, mlp_dim=1024, num_heads=6, patch_px=16),
    "tiny": SiglipConfig(width=128, depth=4, mlp_dim=192, num_heads=4, patch_px=16),
}


def sized(size: str, image_px: int, patch_px: int | None, settings: Mapping[str, Any]) -> SiglipConfig:
    require_settings("siglip", settings, ())
    return replace(SIZES[size], image_px=image_px, patch_px=SIZES[size].patch_px if patch_px is None else patch_px)


def of_shapes(size: str, shapes: Mapping[str, tuple[int, ...]]) -> SiglipConfig:
    """The named size's, with pixels as a checkpoint's shapes (by the model's paths) say, where they say any."""
    base = SIZES[size]
    patch_px = shapes.get(f"{ROOT}/embedding/kernel", (base.patch_px,))[0]
    tokens = shapes.get(f"{ROOT}/pos_embedding", (1, base.tokens))[1]
    return replace(base, patch_px=patch_px, image_px=patch_px * round(tokens**0.5))


def leaves(image: SiglipConfig, out: int) -> Specs:
    width, depth, mlp, heads, patch = image.width, image.depth, image.mlp_dim, image.num_heads, image.patch_px
    size = width // heads
    block, attention = "Transformer/encoderblock", "Transformer/encoderblock/MultiHeadDotProductAttention_0"
    specs = {
        "embedding/kernel": lecun((patch, patch, 3, width), patch * patch * 3),
        "embedding/bias": Leaf((width,)),
        "pos_embedding": Leaf((1, image.tokens, width), "normal", width**-0.5),
        "Transformer/encoder_norm/scale": Leaf((width,), "ones"),
        "Transformer/encoder_norm/bias": Leaf((width,)),
        "head/kernel": Leaf((width, out)),
        "head/bias": Leaf((out,)),
        f"{block}/MlpBlock_0/Dense_0/kernel": xavier((depth, width, mlp), width, mlp),
        f"{block}/MlpBlock_0/Dense_0/bias": Leaf((depth, mlp), "normal", 1e-6),
        f"{block}/MlpBlock_0/Dense_1/kernel": xavier((depth, mlp, width), mlp, width),
        f"{block}/MlpBlock_0/Dense_1/bias": Leaf((depth, width), "normal", 1e-6),
        f"{attention}/out/kernel": xavier((depth, heads, size, width), width, width),
        f"{attention}/out/bias": Leaf((depth, width)),
    }
    for name in ("LayerNorm_0", "LayerNorm_1"):
        specs[f"{block}/{name}/scale"] = Leaf((depth, width), "ones")
        specs[f"{block}/{name}/bias"] = Leaf((depth, width))
    for name in ("query", "key", "value"):
        specs[f"{attention}/{name}/kernel"] = xavier((depth, width, heads, size), width, width)
        specs[f"{attention}/{name}/bias"] = Leaf((depth, heads, size))
    return specs


def fresh(key: jax.Array, config: SiglipConfig, params: Tree) -> Tree:
    """Patches start with sines of their row and column, and the tokens are seen from the first step on (openpi's head
    starts at zero)."""
    side = config.image_px // config.patch_px
    rows, columns = jnp.divmod(jnp.arange(side * side), side)
    half = config.width // 2
    by_row, by_column = waves(side, half), waves(side, config.width - half)
    kernel = params["head"]["kernel"]
    return {
        **params,
        "pos_embedding": 0.5 * jnp.concatenate([by_row[rows], by_column[columns]], axis=-1)[None],
        "head": {**params["head"], "kernel": jax.random.normal(key, kernel.shape) * kernel.shape[0] ** -0.5},
    }


def flops(config: SiglipConfig, width: int) -> dict[str, float]:
    """Every matrix meets every token; the two products of attention have no leaf."""
    matrices = {path: leaf for path, leaf in leaves(config, width).items() if path.rsplit("/", 1)[-1] not in VECTORS}
    by_leaf = {path: 2.0 * config.tokens * math.prod(leaf.shape) for path, leaf in matrices.items()}
    return by_leaf | {"": 4.0 * config.depth * config.tokens**2 * config.width}


def activations(config: SiglipConfig, item_bytes: int) -> Activations:
    tokens, width = config.tokens, config.width
    layer = layer_bytes(tokens, width, config.mlp_dim, width, config.num_heads, tokens, item_bytes)
    return Activations(layer * config.depth, tokens * width * config.depth * item_bytes, layer)


def encode(
    params: Tree, config: SiglipConfig, images: Mapping[str, jax.Array], *, dtype: Any, remat: bool
) -> Float[jax.Array, "cameras batch tokens width"]:
    stacked = jnp.concatenate([images[role] for role in sorted(images)])
    tokens = encode_images(params, config, stacked, dtype=dtype, remat=remat)
    return tokens.reshape(len(images), -1, *tokens.shape[1:])


def encode_images(
    params: Tree,
    config: SiglipConfig,
    images: Num[jax.Array, "image {config.image_px} {config.image_px} 3"],
    *,
    dtype: Any,
    remat: bool,
) -> Float[jax.Array, "image {config.tokens} width"]:
    """uint8, or float in [-1, 1] -> image tokens of the VLM's width in `dtype`.

    Patches and position embedding are float32, as openpi's.
    """
    x = _patches(unit_range(images), config.patch_px)
    kernel = params["embedding"]["kernel"]
    x = x @ kernel.reshape(-1, kernel.shape[-1]) + params["embedding"]["bias"] + params["pos_embedding"]
    blocks = params["Transformer"]["encoderblock"]
    x, _ = run_layers(lambda x, block: (_block(x, block), None), x.astype(dtype), blocks, config.depth, remat=remat)
    x = _layer_norm(x, params["Transformer"]["encoder_norm"])
    return _dense(x, params["head"])


def _patches(images: jax.Array, patch: int) -> jax.Array:
    """[N, H, W, 3] -> [N, patches, patch * patch * 3], rows first."""
    n, height, width, channels = images.shape
    grid = images.reshape(n, height // patch, patch, width // patch, patch, channels)
    return grid.transpose(0, 1, 3, 2, 4, 5).reshape(n, -1, patch * patch * channels)


def _block(x: jax.Array, params: Tree) -> jax.Array:
    x = x + _attention(_layer_norm(x, params["LayerNorm_0"]), params["MultiHeadDotProductAttention_0"])
    mlp = params["MlpBlock_0"]
    hidden = jax.nn.gelu(_dense(_layer_norm(x, params["LayerNorm_1"]), mlp["Dense_0"]))
    return x + _dense(hidden, mlp["Dense_1"])


def _attention(x: jax.Array, params: Tree) -> jax.Array:
    """Full self-attention, [N, T, D] -> [N, T, D]; heads are a batch axis of plain matrix products."""
    dtype = x.dtype

    def heads(name: str) -> jax.Array:
        kernel, bias = params[name]["kernel"].astype(dtype), params[name]["bias"].astype(dtype)
        return jnp.einsum("ntd,dhk->nhtk", x, kernel) + bias[:, None, :]

    query, key, value = heads("query"), heads("key"), heads("value")
    logits = jnp.matmul(query * query.shape[-1] ** -0.5, key.swapaxes(-1, -2), preferred_element_type=jnp.float32)
    mixed = jnp.matmul(jax.nn.softmax(logits, axis=-1).astype(dtype), value)
    return jnp.einsum("nhtk,hkd->ntd", mixed, params["out"]["kernel"].astype(dtype)) + params["out"]["bias"].astype(
        dtype
    )


def _layer_norm(x: jax.Array, params: Tree) -> jax.Array:
    wide = x.astype(jnp.float32)
    mean = wide.mean(axis=-1, keepdims=True)
    variance = jnp.square(wide - mean).mean(axis=-1, keepdims=True)
    return ((wide - mean) * (jax.lax.rsqrt(variance + EPSILON) * params["scale"]) + params["bias"]).astype(x.dtype)


def _dense(x: jax.Array, params: Tree) -> jax.Array:
    return x @ params["kernel"].astype(x.dtype) + params["bias"].astype(x.dtype)


TOWER = Tower(
    name="siglip",
    root=ROOT,
    config=SiglipConfig,
    sized=sized,
    leaves=leaves,
    encode=encode,
    flops=flops,
    activations=activations,
    fresh=fresh,
    in_openpi=True,
)
