"""Gemma's decoder as pi0 uses it: two stacks of one depth, where the second attends to the first one's keys and values.

The first stack (VLM) never looks at the second, so it runs once and leaves a cache; the second (action expert) reads
the cache. Axis names: B batch, K draws per observation, T tokens, N heads, V key/value heads, H head size, D width.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from pirig.models.bits import numbers_of
from pirig.models.layers import cut, run_layers
from pirig.models.sizes import LoraConfig, TransformerConfig

Tree = dict[str, Any]
Cache = tuple[jax.Array, jax.Array]  # keys (rotated) and values, each [depth, B, V, T, H]
MASKED = -2.3819763e38  # Gemma's own: finite, so a row without a valid key stays finite
MAX_WAVELENGTH = 10_000.0
EPSILON = 1e-6


def embed_tokens(
    llm: Tree, tokens: Int[jax.Array, "batch length"], dtype: Any
) -> Float[jax.Array, "batch length width"]:
    """Token ids -> their rows of the table, times the root of the width."""
    table = llm["embedder"]["input_embedding"]
    rows = numbers_of(table[tokens])
    return (rows * jnp.sqrt(table.shape[-1]).astype(rows.dtype)).astype(dtype)


def run_stack(
    llm: Tree,
    stack: TransformerConfig,
    suffix: str,
    x: Float[jax.Array, "batch draws tokens width"],
    *,
    positions: Int[jax.Array, "batch queries"],
    mask: Bool[jax.Array, "batch one_or_queries keys"],
    cond: Float[jax.Array, "batch draws width"] | None = None,
    cache: Cache | None = None,
    remat: bool = False,
) -> tuple[Float[jax.Array, "batch draws tokens width"], Cache]:
    """Runs the stack named by `suffix` ("" or "_1").

    There are K*T queries; the keys are the cached ones and then the K*T own ones. `cond` is for adaptive norms. Returns
    the normed output and the own keys and values. The layers may be those of `with_layers_cut`.
    """

    def layer(x: jax.Array, scanned: tuple[Tree, Cache | None]) -> tuple[jax.Array, Cache]:
        params, cached = scanned
        return _block(params, stack, x, positions, mask, cond, cached)

    params = llm[f"cut{suffix}"] if f"cut{suffix}" in llm else _stack_params(llm["layers"], suffix)
    x, own = run_layers(layer, x, (params, cache), stack.depth, remat=remat)
    x, _ = _rms_norm(x, llm[f"final_norm{suffix}"], cond)
    return x, own


def with_layers_cut(llm: Tree, stack: TransformerConfig, suffix: str) -> Tree:
    """The tree, with the layers of one stack cut apart beside it: for many runs of that stack in one program."""
    return llm | {f"cut{suffix}": cut(_stack_params(llm["layers"], suffix), stack.depth)}


def _stack_params(layers: Tree, suffix: str) -> Tree:
    """One stack's part of the shared tree, without the suffix in its names."""
    names = [
        name for name in ("q_einsum", "kv_einsum", "qkv_einsum", "attn_vec_einsum") if name + suffix in layers["attn"]
    ]
    params = {name: layers["attn"][name + suffix] for name in names}
    return params | {name: layers[name + suffix] for name in ("pre_attention_norm", "pre_ffw_norm", "mlp")}


def _block(
    params: Tree,
    stack: TransformerConfig,
    x: jax.Array,
    positions: jax.Array,
    mask: jax.Array,
    cond: jax.Array | None,
    cached: Cache | None,
) -> tuple[jax.Array, Cache]:
    batch, draws, length, width = x.shape
    hidden, gate = _rms_norm(x, params["pre_attention_norm"], cond)
    query, key, value = _project(params, stack, hidden.reshape(batch, draws * length, width))
    query = _rotate(query, positions) * stack.head_dim**-0.5
    key = _rotate(key, positions)
    keys, values = key, value
    if cached is not None:
        keys, values = jnp.concatenate([cached[0], key], axis=2), jnp.concatenate([cached[1], value], axis=2)
    mixed = attend(query, keys, values, mask)
    out = _einsum("bnth,nhd->btd", mixed, params["attn_vec_einsum"], stack.lora, "bnth,nhl->btl", "btl,nld->btd")
    x = _add(x, out.reshape(x.shape), gate)
    hidden, gate = _rms_norm(x, params["pre_ffw_norm"], cond)
    return _add(x, _feed_forward(params["mlp"], hidden), gate), (key, value)


def _project(params: Tree, stack: TransformerConfig, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """[B, T, D] -> query [B, N, T, H], key and value [B, V, T, H]."""
    lora = stack.lora
    if "qkv_einsum" in params:
        both = _einsum("btd,cvdh->cbvth", x, params["qkv_einsum"], lora, "btd,cvdl->cbvtl", "cbvtl,cvlh->cbvth")
        return both[0], both[1], both[2]
    query = _einsum("btd,ndh->bnth", x, params["q_einsum"], lora, "btd,ndl->bntl", "bntl,nlh->bnth")
    pair = _einsum("btd,cvdh->cbvth", x, params["kv_einsum"], lora, "btd,cvdl->cbvtl", "cbvtl,cvlh->cbvth")
    return query, pair[0], pair[1]


def attend(
    query: Float[jax.Array, "batch heads queries size"],
    key: Float[jax.Array, "batch kv_heads keys size"],
    value: Float[jax.Array, "batch kv_heads keys size"],
    mask: Bool[
        jax.Array,
        (
            batch  # queries keys
        ),
    ],
) -> Float[jax.Array, "batch heads queries size"]:
    """What each query sees of the values.

    The N / V query heads of a key head are laid out as rows of one matrix product: XLA on CPU is slow otherwise.
    """
    batch, heads, length, size = query.shape
    kv_heads, keys = key.shape[1], key.shape[2]
    rows = query.reshape(batch, kv_heads, -1, size)
    logits = jnp.matmul(rows, key.swapaxes(-1, -2), preferred_element_type=jnp.float32)
    grouped = logits.reshape(batch, kv_heads, heads // kv_heads, length, keys)
    probabilities = jax.nn.softmax(jnp.where(mask[:, None, None], grouped, MASKED), axis=-1).astype(query.dtype)
    return jnp.matmul(probabilities.reshape(logits.shape), value).reshape(batch, heads, length, size)


def _rotate(x: jax.Array, positions: jax.Array) -> jax.Array:
    """Rotary position embedding, split-half: x [B, N, T, H], positions [B, T]."""
    half = x.shape[-1] // 2
    wavelength = MAX_WAVELENGTH ** ((2.0 / x.shape[-1]) * jnp.arange(half, dtype=jnp.float32))
    radians = positions[:, None, :, None] / wavelength
    sin, cos = jnp.sin(radians), jnp.cos(radians)
    first, second = x[..., :half], x[..., half:]
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1).astype(x.dtype)


def _rms_norm(x: jax.Array, params: Tree, cond: jax.Array | None) -> tuple[jax.Array, jax.Array | None]:
    """Norm of x [B, K, T, D]; with `cond` [B, K, D] also scale, shift and the residual's gate [B, K, 1, D] from it."""
    mean_square = jnp.square(x.astype(jnp.float32)).mean(axis=-1, keepdims=True)
    normed = x * jax.lax.rsqrt(mean_square + EPSILON)
    if "scale" in params:
        return (normed * (1 + params["scale"])).astype(x.dtype), None
    assert cond is not None, "adaptive norms need a condition"
    dense = params["Dense_0"]
    modulation = cond.astype(x.dtype) @ dense["kernel"].astype(x.dtype) + dense["bias"].astype(x.dtype)
    scale, shift, gate = jnp.split(modulation[:, :, None, :], 3, axis=-1)
    return (normed * (1 + scale) + shift).astype(x.dtype), gate


def _add(x: jax.Array, branch: jax.Array, gate: jax.Array | None) -> jax.Array:
    return x + branch if gate is None else x + branch * gate


def _einsum(equation: str, x: jax.Array, params: Tree, lora: LoraConfig | None, down: str, up: str) -> jax.Array:
    """The product with w and, where there is one, with its low-rank branch (equations `down`, then `up`)."""
    out = jnp.einsum(equation, x, params["w"].astype(x.dtype))
    if lora is None:
        return out
    low = jnp.einsum(up, jnp.einsum(down, x, params["lora_a"].astype(x.dtype)), params["lora_b"].astype(x.dtype))
    return out + low * (lora.alpha / lora.rank)


def _feed_forward(params: Tree, x: jax.Array) -> jax.Array:
    """Gated GELU; openpi does not scale its low-rank branch here."""

    def dot(x: jax.Array, name: str, index: int | None) -> jax.Array:
        def weight(key: str) -> jax.Array:
            return (params[key] if index is None else params[key][index]).astype(x.dtype)

        out = x @ weight(name)
        return out + (x @ weight(f"{name}_lora_a")) @ weight(f"{name}_lora_b") if f"{name}_lora_a" in params else out

    return dot(jax.nn.gelu(dot(x, "gating_einsum", 0)) * dot(x, "gating_einsum", 1), "linear", None)
