"""Learning-rate schedules: pure functions of the step number."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

Schedule = Callable[[jax.Array | int], jax.Array]


def warmup_cosine(
    step: jax.Array | int, *, peak_lr: float, final_lr: float, warmup_steps: int, decay_steps: int
) -> jax.Array:
    """openpi's CosineDecaySchedule: linear from peak/(warmup+1) to peak, then cosine to `final_lr` at `decay_steps`.

    `decay_steps` counts from step 0 and so includes the warm-up. After it the rate stays at `final_lr`.
    """
    step = jnp.asarray(step, jnp.float32)  # the operations in optax's order: equal to the last bits
    first_lr = peak_lr / (warmup_steps + 1)
    left = 1.0 - jnp.clip(step, 0.0, warmup_steps) / max(warmup_steps, 1)
    rising = (first_lr - peak_lr) * left + peak_lr
    span = decay_steps - warmup_steps
    cosine = 0.5 * (1.0 + jnp.cos(jnp.pi * jnp.clip(step - warmup_steps, 0.0, span) / span))
    floor = final_lr / peak_lr
    falling = peak_lr * ((1.0 - floor) * cosine + floor)
    return jnp.where(step < warmup_steps, rising, falling)


def make_schedule(*, peak_lr: float, final_lr: float, warmup_steps: int, decay_steps: int) -> Schedule:
    """`warmup_cosine` with its numbers bound. Raises ValueError if the decay would end before the warm-up does."""
    if peak_lr <= 0:
        raise ValueError(f"train.peak_lr is {peak_lr}; expected a positive number (openpi fine-tunes with 2.5e-5)")
    if decay_steps <= warmup_steps:
        raise ValueError(
            f"train.warmup_steps is {warmup_steps} but the decay ends at step {decay_steps}, which includes the warm-up; "
            "lower train.warmup_steps or raise train.decay_steps (0 means train.steps)"
        )
    return lambda step: warmup_cosine(
        step, peak_lr=peak_lr, final_lr=final_lr, warmup_steps=warmup_steps, decay_steps=decay_steps
    )
