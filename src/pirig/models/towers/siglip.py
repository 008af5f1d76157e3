"""SigLIP's image encoder (ViT, pre-norm), without its pooling head."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from pirig.models.layers import run_layers
from pirig.models.sizes import VisionConfig

Tree = dict[str, Any]
EPSILON = 1e-6


def encode_images(params: Tree, config: VisionConfig, images: jax.Array, *, dtype: Any, remat: bool) -> jax.Array:
    """[N, H, W, 3] uint8, or float in [-1, 1] -> image tokens [N, (H / patch)^2, VLM width] in `dtype`.

    `params` is the tree under PaliGemma/img. Patches and position embedding are float32, as openpi's.
    """
    x = _patches(as_unit_range(images), config.patch_px)
    kernel = params["embedding"]["kernel"]
    x = x @ kernel.reshape(-1, kernel.shape[-1]) + params["embedding"]["bias"] + params["pos_embedding"]
    blocks = params["Transformer"]["encoderblock"]
    x, _ = run_layers(lambda x, block: (_block(x, block), None), x.astype(dtype), blocks, config.depth, remat=remat)
    x = _layer_norm(x, params["Transformer"]["encoder_norm"])
    return _dense(x, params["head"])


def as_unit_range(images: jax.Array) -> jax.Array:
    """uint8 -> float32 in [-1, 1]; floats are taken to be there already."""
    if images.dtype == jnp.uint8:
        return images.astype(jnp.float32) / 255.0 * 2.0 - 1.0
    return images.astype(jnp.float32)


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
