"""AdamW with a global-norm clip, and the split of a parameter tree into what is trained and what is frozen."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from pirig.models.bits import numbers_of
from pirig.training.schedules import Schedule

Tree = dict[str, Any]

ADAM_B1, ADAM_B2, ADAM_EPS = 0.9, 0.95, 1e-8  # openpi's AdamW
NOT_KERNELS = ("bias", "scale", "pos_embedding", "input_embedding")  # left out of openpi's param_norm


def make_optimizer(
    schedule: Schedule, *, clip_norm: float = 1.0, weight_decay: float = 1e-10
) -> optax.GradientTransformation:
    """openpi's optimizer: clip by global norm, then AdamW (0.9, 0.95, 1e-8); the same state tree as openpi's."""
    if clip_norm <= 0:
        raise ValueError(f"train.clip_norm is {clip_norm}; expected a positive number (openpi uses 1.0)")
    return optax.chain(
        optax.clip_by_global_norm(clip_norm),
        optax.adamw(schedule, b1=ADAM_B1, b2=ADAM_B2, eps=ADAM_EPS, weight_decay=weight_decay),
    )


def select(tree: Tree, mask: Tree | None, keep: bool = True) -> Tree:
    """The sub-tree of the leaves whose mask equals `keep`; branches that become empty are dropped.

    `mask` is a tree of bool of the same shape (True: trained); None stands for a tree of True.
    """
    if mask is None:
        return tree if keep else {}
    if set(tree) != set(mask):
        raise ValueError(f"the freeze mask has {sorted(mask)} where the parameters have {sorted(tree)}")
    picked = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            branch = select(value, mask[name], keep)
            if branch:
                picked[name] = branch
        elif bool(mask[name]) == keep:
            picked[name] = value
    return picked


def merge(left: Tree, right: Tree) -> Tree:
    """The union of two trees without a common leaf; the inverse of `select`. Keys come out sorted."""
    merged: Tree = {}
    for name in sorted({*left, *right}):
        if name in left and name in right:
            merged[name] = merge(left[name], right[name])
        else:
            merged[name] = left[name] if name in left else right[name]
    return merged


def lora_trainable(
    params: Tree, *, vlm_lora: bool, expert_lora: bool, frozen_below: str | None = None, freeze_vlm: bool = False
) -> Tree:
    """Tree of bool (True: trained) by openpi's freeze rule: of a language stack with LoRA only the LoRA leaves train.

    The action expert's leaves are those under llm with "_1" in their path. `frozen_below`: a path, such as the vision
    tower's, whose leaves are frozen too. `freeze_vlm`: all of the language model's, its LoRA leaves included; the action
    expert's are not.
    """

    def trains(path: tuple, leaf: Any) -> bool:
        name = path_name(path)
        if "llm" not in name:
            return frozen_below is None or not name.startswith(f"{frozen_below}/")
        if freeze_vlm and "_1" not in name:
            return False
        return "lora" in name or not (expert_lora if "_1" in name else vlm_lora)

    return jax.tree_util.tree_map_with_path(trains, params)


def cast_frozen(params: Tree, mask: Tree | None, dtype: Any = jnp.bfloat16) -> Tree:
    """`params` with its frozen leaves in `dtype`, as openpi keeps them in a LoRA run."""
    if mask is None:
        return params
    frozen = jax.tree.map(
        lambda leaf: leaf if leaf.dtype == dtype else leaf.astype(dtype), select(params, mask, keep=False)
    )
    return merge(select(params, mask), frozen)


def path_name(path: tuple) -> str:
    """ "PaliGemma/llm/final_norm/scale" from a key path of jax.tree_util."""
    return "/".join(str(getattr(key, "key", getattr(key, "name", getattr(key, "idx", key)))) for key in path)


def kernel_norm(params: Tree) -> jax.Array:
    """Global norm of the kernels: openpi's `param_norm` (no bias, scale or embedding, two axes or more)."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    kernels = [leaf for path, leaf in leaves if leaf.ndim > 1 and path_name(path).rsplit("/", 1)[-1] not in NOT_KERNELS]
    return jnp.sqrt(sum((_square_sum(leaf) for leaf in kernels), jnp.float32(0.0)))


def _square_sum(leaf: jax.Array) -> jax.Array:
    """In float32; of bits (see `pirig.models.bits`) layer by layer, for a CPU would write out the whole in float32."""
    if leaf.dtype != jnp.uint16:
        return jnp.sum(jnp.square(leaf.astype(jnp.float32)))

    def add(total: jax.Array, row: jax.Array) -> tuple[jax.Array, None]:
        return total + jnp.sum(jnp.square(numbers_of(row).astype(jnp.float32))), None

    return jax.lax.scan(add, jnp.float32(0.0), leaf)[0]
