"""Heads learn from a critic that stands still: a one-step one (improve.use=fql), a bounded residual (improve.use=residual)."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float32

from pirig.config.critic import FqlConfig, HeadConfig, ResidualConfig
from pirig.files.identity import Identity, digest_of_arrays
from pirig.improving.critic.actor import Numbers, distilled, pull
from pirig.improving.critic.experience import Experience
from pirig.improving.critic.fitting import Fitting, State, drawn
from pirig.models.critic.heads import Head, init_head
from pirig.models.critic.learned import Critic
from pirig.models.critic.network import Seen
from pirig.models.leaves import flatten

CODE = 1  # changes where the same experience, critic and settings would give another head


def fit_one_step(
    critic: Critic,
    experience: Experience,
    noise: Float32[np.ndarray, "rows samples horizon padded"],
    use: FqlConfig,
    settings: HeadConfig,
    folder: Path,
) -> Head:
    """`noise`: of which the policy made the experience's samples."""

    def loss(head: Head, seen: Seen, sample: jax.Array, shown: jax.Array) -> tuple[jax.Array, Numbers]:
        ours = head(seen, shown)
        return distilled(ours, sample, _value(critic, seen, ours), use.alpha)

    start = Head({}, critic.scale, critic.chunk)
    told = {"alpha": use.alpha, "noise": digest_of_arrays({"noise": noise})}
    return _fitted("one-step head", start, loss, critic, experience, noise, told, settings, folder)


def fit_residual(
    critic: Critic, experience: Experience, use: ResidualConfig, settings: HeadConfig, folder: Path
) -> Head:
    """On what the frozen policy gives: the experience's samples."""

    def loss(head: Head, seen: Seen, sample: jax.Array, shown: jax.Array) -> tuple[jax.Array, Numbers]:
        ours = head(seen, shown)
        q = _value(critic, seen, ours)
        return pull(q), {"moved": jnp.abs(ours - sample).mean(), "q": q.mean()}

    start = Head({}, critic.scale, critic.chunk, use.bound)
    told = {"bound": use.bound}
    return _fitted("residual", start, loss, critic, experience, experience.samples, told, settings, folder)


def _value(critic: Critic, seen: Seen, chunks: jax.Array) -> jax.Array:
    return critic.lower(seen, chunks[:, None])[:, 0]


def _fitted(
    label: str,
    start: Head,
    loss: Any,
    critic: Critic,
    experience: Experience,
    shown: np.ndarray,
    told: dict[str, Any],
    settings: HeadConfig,
    folder: Path,
) -> Head:
    params = init_head(
        jax.random.key(settings.seed), start.scale, (shown.shape[2], shown.shape[3]), start.chunk, settings.widths
    )
    plain = {name: value for name, value in dataclasses.asdict(settings).items() if name != "save_every"}
    made_from = {"experience": experience.digest, "critic": digest_of_arrays(flatten(critic.params))}
    made = Identity(label, made_from, {**plain, **told}, code=CODE)
    fitting = Fitting(label, folder, made, settings.steps, settings.save_every, settings.seed)
    known = experience.transitions
    data = {"features": known.features, "state": known.state, "samples": experience.samples, "shown": shown}
    state = fitting.run(
        {"params": params, "optimiser": optax.adam(settings.lr).init(params)},
        jax.tree.map(jnp.asarray, data),
        _advance(start, loss, settings),
    )
    head = dataclasses.replace(start, params=state["params"])
    head.save(folder)
    return head


def _advance(start: Head, loss: Any, settings: HeadConfig) -> Any:
    optimiser = optax.adam(settings.lr)

    def advance(state: State, data: dict[str, Any], key: jax.Array) -> tuple[State, Numbers]:
        rows, which = drawn(key, settings.batch_size, *data["samples"].shape[:2])
        seen = Seen(data["features"][rows], data["state"][rows])

        def total(params: Any) -> tuple[jax.Array, Numbers]:
            head = dataclasses.replace(start, params=params)
            return loss(head, seen, data["samples"][rows, which], data["shown"][rows, which])

        (value, numbers), gradient = jax.value_and_grad(total, has_aux=True)(state["params"])
        updates, kept = optimiser.update(gradient, state["optimiser"], state["params"])
        params = optax.apply_updates(state["params"], updates)
        return {"params": params, "optimiser": kept}, {"loss": value, **numbers}

    return advance
