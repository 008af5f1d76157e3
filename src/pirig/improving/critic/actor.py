"""What a critic's values make of a policy: losses and weights as functions of arrays, whatever the policy is made of."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32

Numbers = dict[str, jax.Array]


def pull(q: Float[jax.Array, " batch"]) -> Float[jax.Array, ""]:
    """-Q / mean |Q|: a step of the same size on whatever scale values are (FQL, arXiv:2502.02538)."""
    return -q.mean() / jax.lax.stop_gradient(jnp.maximum(jnp.abs(q).mean(), 1e-6))


def distilled(
    ours: Float[jax.Array, "batch h action_dim"],
    flow: Float[jax.Array, "batch h action_dim"],
    q: Float[jax.Array, " batch"],
    alpha: float,
) -> tuple[Float[jax.Array, ""], Numbers]:
    """FQL's loss of a one-step head: alpha (ours - flow)^2 - Q(s, ours) / mean |Q|. `flow`: what the policy's Euler steps made of
    the same noise; nothing is differentiated through them."""
    apart = jnp.square(ours - jax.lax.stop_gradient(flow)).mean()
    return alpha * apart + pull(q), {"apart": apart, "q": q.mean()}


def advantage_weights(
    of_data: Float32[np.ndarray, " rows"], of_policy: Float32[np.ndarray, "rows samples"], beta: float, most: float
) -> Float32[np.ndarray, " rows"]:
    """exp(A / beta), at most `most`, all divided by their mean; A: how much more the executed chunk is worth than the mean of the
    policy's own there."""
    advantage = of_data - of_policy.mean(axis=1)
    raw = np.exp(np.minimum(advantage.astype(float) / beta, np.log(most)))
    return (raw / raw.mean()).astype(np.float32)
