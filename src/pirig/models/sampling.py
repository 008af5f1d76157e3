"""From noise to actions: Euler steps along a flow, and how a chunk that is underway guides the next one.

Real-time chunking (Black, Galliker, Levine 2025, arXiv:2506.07339): the new chunk is inpainted. What the arm will have executed
by the time it arrives is given, and held on its way from its noise to what it is. What the earlier chunk foresees behind that
counts the less the further away it is: there each Euler step's velocity is corrected by the pseudo-inverse guidance of Pokle et
al. (2024, arXiv:2310.04432). The paper guides towards the given steps too; here that broke the free ones (docs/delay.md).
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
    noise, delta = jnp.asarray(noise), -1.0 / steps
    flow = velocity if guide is None else _inpainted(velocity, noise, guide)

    def step(_: int, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        x, time = carry
        return x + delta * flow(x, time), time + delta

    x = jax.lax.fori_loop(0, steps, step, (noise, jnp.ones((), jnp.float32)))[0]
    return x if guide is None else jnp.where(_given(guide), guide.actions, x)


def _given(guide: Guide) -> jax.Array:
    return guide.weights[..., None] >= 1


def _inpainted(velocity: Velocity, noise: jax.Array, guide: Guide) -> Velocity:
    """Of a chunk whose given steps are on their way from their noise to what they are, and whose other ones are guided."""
    given, others = _given(guide), guide._replace(weights=jnp.where(guide.weights >= 1, 0.0, guide.weights))

    def flow(x: jax.Array, time: jax.Array) -> jax.Array:
        on_its_way = time * noise + (1 - time) * guide.actions
        return _guided(velocity, jnp.where(given, on_its_way, x), time, others)

    return flow


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
