"""Where every parameter lives, its shape and how it starts: openpi's own paths, so its checkpoints load unchanged.

Layer-stacked leaves have a leading depth axis. The action expert's names end in "_1".
"""

from __future__ import annotations

import math

import jax

from pirig.models.leaves import Leaf, Specs, Tree, draw, flatten, lecun, nest
from pirig.models.sizes import ModelConfig, TransformerConfig
from pirig.models.towers.door import tower_named

__all__ = ["Tree", "flatten", "init_params", "leaf_specs", "nest", "param_count", "param_shapes"]


def leaf_specs(config: ModelConfig) -> Specs:
    """Every leaf of the model by its path, sorted."""
    specs = _tower(config) | _heads(config)
    specs["PaliGemma/llm/embedder/input_embedding"] = Leaf((config.vocab_size, config.vlm.width), "normal", 0.01)
    specs |= _transformer(config.vlm, "", adaptive=False) | _transformer(config.expert, "_1", adaptive=config.pi05)
    return dict(sorted(specs.items()))


def init_params(key: jax.Array, config: ModelConfig) -> Tree:
    """Fresh float32 parameters, distributed as openpi's; each leaf depends on the key and its own path only."""
    return nest({path: draw(key, path, leaf) for path, leaf in leaf_specs(config).items()})


def param_shapes(config: ModelConfig) -> Tree:
    """The tree of jax.ShapeDtypeStruct that init_params would return; allocates nothing."""
    return jax.eval_shape(lambda: init_params(jax.random.key(0), config))


def param_count(config: ModelConfig) -> int:
    return sum(math.prod(leaf.shape) for leaf in leaf_specs(config).values())


def _tower(config: ModelConfig) -> Specs:
    tower = tower_named(config.tower)
    return {f"{tower.root}/{path}": leaf for path, leaf in tower.leaves(config.image, config.vlm.width).items()}


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
