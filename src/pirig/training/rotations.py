"""Whole rotations as numbers without a jump: the first two columns of the matrix (Zhou et al. 2019, On the Continuity of
Rotation Representations in Neural Networks). A quaternion and its negative are the same six numbers."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

LEAST = 1e-12  # of a squared length


def columns(quat_wxyz: Any, xp: Any = jnp) -> Any:
    """Unit quaternions [B, 4] -> the first column and the second [B, 6]."""
    w, x, y, z = (quat_wxyz[:, number] for number in range(4))
    first = (1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y))
    second = (2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x))
    return xp.stack([*first, *second], axis=1)


def matrices(six: jax.Array) -> jax.Array:
    """[B, 6] of any scale -> [B, 3, 3]: the rotation whose first column points along the first three numbers and whose second
    lies in the plane of both."""
    first = _unit(six[:, :3])
    second = _unit(six[:, 3:] - (first * six[:, 3:]).sum(axis=1, keepdims=True) * first)
    return jnp.stack([first, second, jnp.cross(first, second)], axis=-1)


def angle_rad(ours: jax.Array, theirs: jax.Array) -> jax.Array:
    """Of the turn from one matrix to the other [B], 0 to pi; exact for small ones, where the trace's arc cosine is not."""
    apart = jnp.sqrt(jnp.square(ours - theirs).sum(axis=(1, 2)))
    return 2 * jnp.arcsin(jnp.clip(apart / np.sqrt(8), 0, 1))


def _unit(vectors: jax.Array) -> jax.Array:
    """Of length 1; zeros stay."""
    return vectors * jax.lax.rsqrt(jnp.maximum(jnp.square(vectors).sum(axis=-1, keepdims=True), LEAST))
