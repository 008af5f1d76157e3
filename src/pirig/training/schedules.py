"""Learning-rate schedules: a straight line up to the peak, then a curve; pure functions of the step number.

A schedule is a function here, marked `@curve`, and a YAML in conf/schedule whose `name` is the function's: `schedule=NAME`. The
function gets the number of steps since the warm-up and, by name, what it asks for: peak_lr, final_lr, span_steps (from the
warm-up's end to where the curve ends) and any number under `numbers` in its YAML.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

import jax
import jax.numpy as jnp

from pirig.config.schema import ScheduleConfig

Schedule = Callable[[jax.Array | int], jax.Array]
Curve = Callable[..., jax.Array]  # (since f32 [], **numbers) -> rate f32 []; `since` is below 0 in the warm-up

CURVES: dict[str, Curve] = {}


def curve(function: Curve) -> Curve:
    """Makes the function known by its name: `schedule.name` chooses it."""
    CURVES[function.__name__] = function
    return function


@curve
def cosine(since: jax.Array, *, peak_lr: float, final_lr: float, span_steps: int) -> jax.Array:
    """openpi's CosineDecaySchedule: half a cosine from the peak to `final_lr`, where the rate stays."""
    part = 0.5 * (1.0 + jnp.cos(jnp.pi * jnp.clip(since, 0.0, span_steps) / span_steps))
    floor = final_lr / peak_lr
    return peak_lr * ((1.0 - floor) * part + floor)


@curve
def constant(since: jax.Array, *, peak_lr: float) -> jax.Array:
    """The peak for ever."""
    return jnp.full_like(since, peak_lr)


@curve
def rsqrt(since: jax.Array, *, peak_lr: float, timescale: float) -> jax.Array:
    """openpi's RsqrtDecaySchedule: the inverse square root, half of the peak after three times `timescale` steps."""
    return peak_lr / jnp.sqrt((timescale + since) / timescale)


def make_schedule(settings: ScheduleConfig, steps: int) -> Schedule:
    """rate(step) of a training of `steps` steps. The warm-up rises from peak/(warmup+1), as openpi's does.

    Raises ValueError where no curve has that name, or it lacks a number or is given one that it does not know.
    """
    peak_lr, warmup_steps = settings.peak_lr, settings.warmup_steps
    _check(settings, steps)
    bound = _numbers_of(settings, steps)
    after = CURVES[settings.name]

    def rate(step: jax.Array | int) -> jax.Array:
        step = jnp.asarray(step, jnp.float32)  # the operations in optax's order: equal to the last bits
        left = 1.0 - jnp.clip(step, 0.0, warmup_steps) / max(warmup_steps, 1)
        rising = (peak_lr / (warmup_steps + 1) - peak_lr) * left + peak_lr
        return jnp.where(step < warmup_steps, rising, after(step - warmup_steps, **bound))

    return rate


def without_part(settings: ScheduleConfig) -> list[str]:
    """The keys that were changed and that the curve does not ask for."""
    usual, asked = ScheduleConfig(), _asked(settings.name)
    ends = {"final_lr": "final_lr" in asked, "decay_steps": "span_steps" in asked}
    changed = {
        key: value for key in ends if (value := getattr(settings, key)) not in (getattr(usual, key), settings.peak_lr)
    }
    return [f"schedule.{key}={value}" for key, value in changed.items() if not ends[key]]


def _check(settings: ScheduleConfig, steps: int) -> None:
    if settings.name not in CURVES:
        raise ValueError(
            f"schedule.name={settings.name}: no such curve; known are {', '.join(CURVES)} (src/pirig/training/schedules.py)"
        )
    end = settings.decay_steps or steps
    if "span_steps" in _asked(settings.name) and end <= settings.warmup_steps:
        raise ValueError(
            f"schedule.warmup_steps={settings.warmup_steps}, but the {settings.name} ends at step {end}, which includes the "
            f"warm-up; choose schedule.warmup_steps={end // 10}, or a later schedule.decay_steps (0: train.steps)"
        )


def _numbers_of(settings: ScheduleConfig, steps: int) -> dict[str, float]:
    """What the curve asks for, by name."""
    span_steps = (settings.decay_steps or steps) - settings.warmup_steps
    usual = {"peak_lr": settings.peak_lr, "final_lr": settings.final_lr, "span_steps": span_steps}
    asked, own = _asked(settings.name), settings.numbers
    lacking = [name for name, needed in asked.items() if needed and name not in {**usual, **own}]
    unknown = [name for name in own if name not in asked]
    wrong = [f"schedule.numbers.{name} has no value" for name in lacking]
    wrong += [f"schedule.numbers.{name} is no number of this curve" for name in unknown]
    if wrong:
        raise ValueError(f"schedule={settings.name}: {', '.join(wrong)}; it asks for {', '.join(asked)}.")
    return {name: value for name, value in {**usual, **own}.items() if name in asked}


def _asked(name: str) -> dict[str, bool]:
    """The curve's numbers by name; True: it has no default."""
    parameters = list(inspect.signature(CURVES[name]).parameters.values())[1:]
    return {parameter.name: parameter.default is parameter.empty for parameter in parameters}
