"""Numbers for places in a row, where neighbours are alike and all differ."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Float


def waves(count: int, width: int) -> Float[jax.Array, "{count} {width}"]:
    """Sines and cosines of each of `count` places in a row: from half a period over all of them to two
    places a period, in geometric steps."""
    pairs = (width + 1) // 2
    periods = 0.5 * max(count, 2) ** (jnp.arange(pairs) / max(pairs - 1, 1))
    angles = 2 * jnp.pi * (jnp.arange(count) / count)[:, None] * periods
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)[:, :width]
