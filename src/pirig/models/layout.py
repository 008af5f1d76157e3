"""Where every parameter lives, its shape and how it starts: openpi's own paths, so its checkpoints load unchanged.

Layer-stacked leaves have a leading depth axis. The action expert's names end in "_1".
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from pirig.models.sizes import ModelConfig, TransformerConfig, VisionConfig

Tree = dict[str, Any]
TRUNCATED_STD = 0.87962566103423978  # of a unit normal cut at two standard deviations


@dataclass(frozen=True)
class Leaf:
    """`init`: zeros, ones, normal (std = scale), lecun (truncated normal, std = scale) or uniform (within +-scale)."""

    shape: tuple[int, ...]
    init: str = "zeros"
    scale: float = 0.0


Specs = dict[str, Leaf]


def lecun(shape: tuple[int, ...], fan_in: int) -> Leaf:
    return Leaf(shape, "lecun", fan_in**-0.5)


def xavier(shape: tuple[int, ...], fan_in: int, fan_out: int) -> Leaf:
    return Leaf(shape, "uniform", math.sqrt(6.0 / (fan_in + fan_out)))


def leaf_specs(config: ModelConfig) -> Specs:
    """Every leaf of the model by its path, sorted."""
    specs = _vision(config.image, config.vlm.width) | _heads(config)
    specs["PaliGemma/llm/embedder/input_embedding"] = Leaf((config.vocab_size, config.vlm.width), "normal", 0.01)
    specs |= _transformer(config.vlm, "", adaptive=False) | _transformer(config.expert, "_1", adaptive=config.pi05)
    return dict(sorted(specs.items()))


def init_params(key: jax.Array, config: ModelConfig) -> Tree:
    """Fresh float32 parameters, distributed as openpi's; each leaf depends on the key and its own path only."""
    return nest({path: _draw(key, path, leaf) for path, leaf in leaf_specs(config).items()})


def param_shapes(config: ModelConfig) -> Tree:
    """The tree of jax.ShapeDtypeStruct that init_params would return; allocates nothing."""
    return jax.eval_shape(lambda: init_params(jax.random.key(0), config))


def param_count(config: ModelConfig) -> int:
    return sum(math.prod(leaf.shape) for leaf in leaf_specs(config).values())


def nest(flat: dict[str, Any]) -> Tree:
    """{"a/b": x} -> {"a": {"b": x}}."""
    tree: Tree = {}
    for path, value in flat.items():
        *folders, name = path.split("/")
        node = tree
        for folder in folders:
            node = node.setdefault(folder, {})
        node[name] = value
    return tree


def flatten(tree: Tree, prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": x}} -> {"a/b": x}."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        flat |= flatten(value, f"{prefix}{name}/") if isinstance(value, dict) else {prefix + name: value}
    return flat


def _draw(key: jax.Array, path: str, leaf: Leaf) -> jax.Array:
    key = jax.random.fold_in(key, zlib.crc32(path.encode()))
    if leaf.init == "zeros":
        return jnp.zeros(leaf.shape)
    if leaf.init == "ones":
        return jnp.ones(leaf.shape)
    if leaf.init == "normal":
        return jax.random.normal(key, leaf.shape) * leaf.scale
    if leaf.init == "lecun":
        return jax.random.truncated_normal(key, -2.0, 2.0, leaf.shape) * (leaf.scale / TRUNCATED_STD)
    return jax.random.uniform(key, leaf.shape, minval=-leaf.scale, maxval=leaf.scale)


def _vision(image: VisionConfig, out: int) -> Specs:
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
    return {f"PaliGemma/img/{path}": leaf for path, leaf in specs.items()}


def _transformer(stack: TransformerConfig, suffix: str, *, adaptive: bool) -> Specs:
    width, depth, mlp, size = stack.width, stack.depth, stack.mlp_dim, stack.head_dim
    heads, kv_heads = stack.num_heads, stack.num_kv_heads
    matrices = {f"layers/attn/attn_vec_einsum{suffix}": lecun((depth, heads, size, width), heads * size)}
    if heads == kv_heads:
        matrices[f"layers/attn/qkv_einsum{suffix}"] = lecun((depth, 3, heads, width, size), width)
    else:
        matrices[f"layers/attn/q_einsum{suffix}"] = lecun((depth, heads, width, size), width)
        matrices[f"layers/attn/kv_einsum{suffix}"] = lecun((depth, 2, kv_heads, width, size), width)
    specs: Specs = {}
    for path, leaf in matrices.items():
        specs[f"{path}/w"] = leaf
        specs |= _low_rank(f"{path}/lora", leaf.shape, stack)
    gating, linear = lecun((depth, 2, width, mlp), width), lecun((depth, mlp, width), mlp)
    for name, leaf in (("gating_einsum", gating), ("linear", linear)):
        specs[f"layers/mlp{suffix}/{name}"] = leaf
        specs |= _low_rank(f"layers/mlp{suffix}/{name}_lora", leaf.shape, stack)
    stacked = {f"layers/pre_attention_norm{suffix}": (depth,), f"layers/pre_ffw_norm{suffix}": (depth,)}
    for path, lead in (stacked | {f"final_norm{suffix}": ()}).items():
        if adaptive:
            specs[f"{path}/Dense_0/kernel"] = Leaf((*lead, width, 3 * width))
            specs[f"{path}/Dense_0/bias"] = Leaf((*lead, 3 * width))
        else:
            specs[f"{path}/scale"] = Leaf((*lead, width))
    return {f"PaliGemma/llm/{path}": leaf for path, leaf in specs.items()}


def _low_rank(prefix: str, shape: tuple[int, ...], stack: TransformerConfig) -> Specs:
    """The two LoRA leaves of a matrix whose last two axes are (in, out)."""
    if stack.lora is None:
        return {}
    *lead, rows, columns = shape
    return {
        f"{prefix}_a": Leaf((*lead, rows, stack.lora.rank), "normal", 0.01),
        f"{prefix}_b": Leaf((*lead, stack.lora.rank, columns), "normal", 0.01),
    }


def _heads(config: ModelConfig) -> Specs:
    width, dim = config.expert.width, config.action_dim
    sizes = {"action_in_proj": (dim, width), "action_out_proj": (width, dim)}
    if config.pi05:
        sizes |= {"time_mlp_in": (width, width), "time_mlp_out": (width, width)}
    else:
        sizes |= {"state_proj": (dim, width)}
        sizes |= {"action_time_mlp_in": (2 * width, width), "action_time_mlp_out": (width, width)}
    specs = {f"{name}/kernel": lecun(shape, shape[0]) for name, shape in sizes.items()}
    return specs | {f"{name}/bias": Leaf((shape[1],)) for name, shape in sizes.items()}
