"""Running a stack of equal layers whose parameters carry a leading depth axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from pirig.models.bits import numbers_of

UNROLL_UP_TO = 6  # deeper stacks are scanned: one compiled layer; shallower ones run faster laid out in full


def run_layers(
    layer: Callable[[jax.Array, Any], tuple[jax.Array, Any]], x: jax.Array, stacked: Any, depth: int, *, remat: bool
) -> tuple[jax.Array, Any]:
    """x -> layer(x, stacked[i]) for each i of `depth`; returns the last x and the layers' second results, stacked.

    A part of `stacked` may be a list of layers (`cut`) where the depth is laid out.
    Of leaves that are bits (see `pirig.models.bits`) the layer gets the numbers.

    With `remat` the backward pass computes each layer again instead of keeping its activations.
    """

    def own(x: jax.Array, part: Any) -> tuple[jax.Array, Any]:
        return layer(x, jax.tree.map(numbers_of, part))

    body = jax.checkpoint(own, prevent_cse=depth <= UNROLL_UP_TO) if remat else own
    if depth > UNROLL_UP_TO:
        return jax.lax.scan(body, x, stacked, length=depth)
    results = []
    for index in range(depth):
        part = jax.tree.map(lambda leaf: leaf[index], stacked, is_leaf=lambda node: isinstance(node, list))  # noqa: B023
        x, result = body(x, part)
        results.append(result)
    return x, jax.tree.map(lambda *leaves: jnp.stack(leaves), *results)


def cut(stacked: Any, depth: int) -> Any:
    """A stack as a list of its layers where they are laid out; a deeper one as it is.

    For a stack that runs many times in one program: in a loop, XLA on a CPU slices and copies every layer each time.
    """
    if depth > UNROLL_UP_TO:
        return stacked
    return [jax.tree.map(lambda leaf: numbers_of(leaf[index]), stacked) for index in range(depth)]  # noqa: B023


def layer_bytes(tokens: int, width: int, mlp: int, attention: int, heads: int, keys: int, item_bytes: int) -> float:
    """What a transformer layer keeps for its backward pass: T (8 D + 3 F + 4 N H) b + N T S (4 + b)."""
    kept = tokens * (8 * width + 3 * mlp + 4 * attention) * item_bytes
    return kept + heads * tokens * keys * (4 + item_bytes)
