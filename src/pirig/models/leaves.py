"""A parameter's shape and how it starts."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

Tree = dict[str, Any]
TRUNCATED_STD = 0.87962566103423978  # of a unit normal cut at two standard deviations


@dataclass(frozen=True)
class Leaf:
    """`init`: zeros, ones, normal (std = scale), lecun (truncated normal, std = scale) or uniform (within +-scale)."""

    shape: tuple[int, ...]
    init: str = "zeros"
    scale: float = 0.0


Specs = dict[str, Leaf]  # by path, "/" between its elements


def lecun(shape: tuple[int, ...], fan_in: int) -> Leaf:
    return Leaf(shape, "lecun", fan_in**-0.5)


def xavier(shape: tuple[int, ...], fan_in: int, fan_out: int) -> Leaf:
    return Leaf(shape, "uniform", math.sqrt(6.0 / (fan_in + fan_out)))


def draw(key: jax.Array, path: str, leaf: Leaf) -> jax.Array:
    """Float32; depends on the key and the path only."""
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
