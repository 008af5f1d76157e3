"""From noise to actions: Euler steps along a flow, and how a chunk that is underway guides the next one.

Real-time chunking (Black, Galliker, Levine 2025, arXiv:2506.07339): the new chunk is inpainted. What the arm will have executed
by the time it arrives is given, what the earlier chunk foresees behind that counts the less the further away it is, and each
Euler step's velocity is corrected by the pseudo-inverse guidance of Pokle et al. (2024, arXiv:2310.04432).
Flow time here is 1 at noise and 0 at the action; the papers' tau is 1 minus it and their velocity minus ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

STRONGEST = 5.0  # the paper's beta: without it guidance at the first steps has no bound

Velocity = Callable[[jax.Array, jax.Array], jax.Array]  # x [B, A, J] and the flow time [] -> velocity [B, A, J]


class Guide(NamedTuple):
    """A chunk that is underway, in the model's numbers, from the new chunk's first step on, and how much each step counts:
    1 is given, 0 is free."""

    actions: Float[jax.Array, "batch action_horizon action_dim"]
    weights: Float[jax.Array, "batch action_horizon"]


def soft_mask(delay: int, known: int, horizon: int) -> Float[np.ndarray, " horizon"]:
    """The paper's W: 1 for the first `delay` steps, falling to 0 behind the `known` steps that the earlier chunk reaches."""
    step = np.arange(horizon)
    part = np.clip((known - step) / (known - delay + 1), 0.0, 1.0)
    weights = np.where(step < delay, 1.0, part * np.expm1(part) / np.expm1(1.0))
    return np.where(step < known, weights, 0.0).astype(np.float32)


def integrate(
    velocity: Velocity,
    noise: Float[jax.Array, "batch action_horizon action_dim"],
    steps: int,
    guide: Guide | None = None,
) -> Float[jax.Array, "batch action_horizon action_dim"]:
    """Euler steps from noise at time 1 to actions at time 0. With a guide its given steps come out as they are; a row of weights
    0 is not guided."""
    delta = -1.0 / steps

    def step(_: int, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        x, time = carry
        towards = velocity(x, time) if guide is None else _guided(velocity, x, time, guide)
        return x + delta * towards, time + delta

    x = jax.lax.fori_loop(0, steps, step, (jnp.asarray(noise), jnp.ones((), jnp.float32)))[0]
    return x if guide is None else jnp.where(guide.weights[..., None] >= 1, guide.actions, x)


def _guided(velocity: Velocity, x: jax.Array, time: jax.Array, guide: Guide) -> jax.Array:
    """The velocity, corrected by the weighted error of the actions that it leads to, pulled back through their Jacobian."""

    def clean(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        towards = velocity(x, time)
        return x - time * towards, towards

    actions, pull, towards = jax.vjp(clean, x, has_aux=True)
    (correction,) = pull((guide.weights[..., None] * (guide.actions - actions)).astype(actions.dtype))
    return towards - strength(time) * correction


def strength(time: jax.Array) -> jax.Array:
    """(1 - tau) / (tau r^2) with r^2 = (1 - tau)^2 / (tau^2 + (1 - tau)^2), at most STRONGEST."""
    return jnp.minimum((time**2 + (1 - time) ** 2) / (time * (1 - time)), STRONGEST)
