"""Q(features of the prefix, state, executed chunk): two networks with LayerNorm, and the scale of what they are fed.

Values are between 0 and 1 (the reward is 1 at success): beside returns of ten (Cal-QL's rewards) the conservative term and the
learning rate would mean something else on every task, and a target can be clipped to what is possible.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from pirig.models.critic.layers import init_mlp, mlp
from pirig.models.leaves import Tree

Chunks = TypeVar("Chunks", jax.Array, np.ndarray)
MEMBERS = 2
BOUND = 3.0  # what a critic or a head is shown of normalised actions is clipped to minus and plus this
LEAST_STD = 1e-3  # of a number that hardly varies: a small change of it is no large one


class Seen(NamedTuple):
    """What a row shows before it acts."""

    features: Float[jax.Array | np.ndarray, "*lead features"]
    state: Float[jax.Array | np.ndarray, "*lead state"]


class Scale(NamedTuple):
    """Of features and state, joined: what is taken off, and what the rest is divided by. It does not train."""

    mean: Float[jax.Array, " inputs"]
    std: Float[jax.Array, " inputs"]


def scale_of(seen: Seen) -> Scale:
    """Of the rows that train."""
    rows = np.concatenate([np.asarray(part, np.float64) for part in seen], axis=1)
    std = np.maximum(rows.std(axis=0), LEAST_STD)
    return Scale(jnp.asarray(rows.mean(axis=0), jnp.float32), jnp.asarray(std, jnp.float32))


def scaled(scale: Scale, seen: Seen) -> Float[jax.Array, "*lead inputs"]:
    return (jnp.concatenate(seen, axis=-1) - scale.mean) / scale.std


def clipped(chunks: Chunks) -> Chunks:
    """[..., h, action_dim] to `BOUND`."""
    return chunks.clip(-BOUND, BOUND)


def init_critic(key: jax.Array, inputs: int, chunk: tuple[int, int], widths: Sequence[int]) -> Tree:
    """The members' parameters with a leading axis for them; `inputs` numbers of features and state together."""
    keys = jax.random.split(key, MEMBERS)
    size = inputs + chunk[0] * chunk[1]
    members = [init_mlp(keys[number], size, widths, 1) for number in range(MEMBERS)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)


def values(
    params: Tree, scale: Scale, seen: Seen, chunks: Float[jax.Array, "batch candidates h action_dim"]
) -> Float[jax.Array, "members batch candidates"]:
    """Of every candidate chunk of a row, by each member (one by one: a batched product costs a CPU half as much again)."""
    rows = jnp.repeat(scaled(scale, seen), chunks.shape[1], axis=0)
    x = jnp.concatenate([rows, chunks.reshape(len(rows), -1)], axis=-1)
    members = [mlp(jax.tree.map(lambda leaf, number=number: leaf[number], params), x) for number in range(MEMBERS)]
    return jnp.stack(members).reshape(MEMBERS, *chunks.shape[:2])
