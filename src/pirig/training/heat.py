"""What teaches a tower's heat maps: map k looks where the pictures show thing k, in every camera."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Float


def off_place(
    log_heat: Float[jax.Array, "cameras batch side side maps"], places: Float[jax.Array, "batch things cameras 2"]
) -> Float[jax.Array, " batch"]:
    """Mean cross-entropy, in nats, between what a map should show and what it shows: all of it in the four cells around the
    thing's place, so that the expected place is the place. `places`: x, y, -1 to 1 from edge to edge; what is outside a picture,
    or NaN, is not asked of that camera. Things beyond the number of maps are not asked either.
    """
    side, things = log_heat.shape[2], min(log_heat.shape[-1], places.shape[1])
    told = places[:, :things].transpose(2, 0, 1, 3)
    inside = (jnp.abs(told) < 1).all(axis=-1)  # no comparison with NaN is true
    cells = jnp.where(inside[..., None], (told + 1) / 2 * side - 0.5, 0.0).clip(0, side - 1)
    shares = jnp.maximum(0.0, 1 - jnp.abs(cells[..., None] - jnp.arange(side)))  # of columns and of rows
    missed = -jnp.einsum("cbyxt,cbty,cbtx->cbt", log_heat[..., :things], shares[:, :, :, 1], shares[:, :, :, 0])
    return jnp.where(inside, missed, 0.0).sum(axis=(0, 2)) / jnp.maximum(inside.sum(axis=(0, 2)), 1)
