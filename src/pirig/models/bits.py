"""Frozen bfloat16 weights as their bits, for a backend that computes bfloat16 in float32.

XLA on a CPU widens what a bfloat16 slice or gather reads from as a whole: beside every stack of layers, and beside the token
table, the same in float32 would lie for the length of a step. Whole numbers it slices as they are, so there the bits are
sliced, and only the layer that is computed becomes float32. The numbers are the same.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pirig.models.leaves import Tree

STACKED = ("layers", "encoderblock")  # leaves under these have a leading depth axis, which a scan walks along
TABLE = "input_embedding"


def as_bits(tree: Tree) -> Tree:
    """The tree with uint16 in place of its bfloat16 stacks and token table: the same memory, not to be donated.

    Arrays that do not lie on one CPU stay as they are; so do all others.
    """
    return jax.tree_util.tree_map_with_path(_bits, tree)


def numbers_of(leaf: jax.Array) -> jax.Array:
    """The numbers of a leaf, or of a part of it: bits become bfloat16, other types stay."""
    return jax.lax.bitcast_convert_type(leaf, jnp.bfloat16) if leaf.dtype == jnp.uint16 else leaf


def _bits(path: tuple, leaf: Any) -> Any:
    names = {str(getattr(key, "key", key)) for key in path}
    if leaf.dtype != jnp.bfloat16 or leaf.ndim < 2 or not names & {*STACKED, TABLE}:
        return leaf
    if isinstance(leaf, jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct(leaf.shape, jnp.uint16) if jax.default_backend() == "cpu" else leaf
    devices = leaf.devices()
    if len(devices) > 1 or next(iter(devices)).platform != "cpu":
        return leaf
    return jax.device_put(np.asarray(leaf).view(np.uint16))
