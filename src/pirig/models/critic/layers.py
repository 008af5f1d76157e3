"""Plain networks of dense layers with LayerNorm between them: the critic's and the heads'."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Float

from pirig.models.leaves import Leaf, Tree, draw, lecun, nest

EPSILON = 1e-6


def init_mlp(key: jax.Array, inputs: int, widths: Sequence[int], outputs: int) -> Tree:
    """Float32. The last layer starts at zero, so that what it gives starts there too."""
    sizes = [inputs, *widths]
    specs: dict[str, Leaf] = {}
    for number, (before, after) in enumerate(zip(sizes, widths, strict=False)):
        specs[f"layer_{number}/kernel"] = lecun((before, after), before)
        specs[f"layer_{number}/bias"] = Leaf((after,))
        specs[f"layer_{number}/scale"] = Leaf((after,), "ones")
        specs[f"layer_{number}/shift"] = Leaf((after,))
    specs["out/kernel"], specs["out/bias"] = Leaf((sizes[-1], outputs)), Leaf((outputs,))
    return nest({path: draw(key, path, leaf) for path, leaf in specs.items()})


def mlp(params: Tree, x: Float[jax.Array, "*lead inputs"]) -> Float[jax.Array, "*lead outputs"]:
    for number in range(len(params) - 1):
        layer = params[f"layer_{number}"]
        x = jax.nn.gelu(_normed(x @ layer["kernel"] + layer["bias"]) * layer["scale"] + layer["shift"])
    return x @ params["out"]["kernel"] + params["out"]["bias"]


def _normed(x: jax.Array) -> jax.Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt(jnp.square(centred).mean(axis=-1, keepdims=True) + EPSILON)
