"""A critic learns: Cal-QL's loss on rows of the episodes that are not held out, by Adam, with a slow target network."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pirig.config.critic import CriticConfig
from pirig.files.identity import Identity
from pirig.improving.critic.experience import Experience, held_out_episodes
from pirig.improving.critic.fitting import Fitting, State, drawn
from pirig.improving.critic.loss import Numbers, Rows, critic_loss
from pirig.models.critic.learned import Critic
from pirig.models.critic.network import BOUND, Scale, Seen, init_critic, scale_of

CODE = 2  # changes where the same experience and settings would give another critic
NOT_LEARNING = ("save_every", "unskilled")  # settings that decide nothing of what is learned


def fit(experience: Experience, settings: CriticConfig, folder: Path) -> Critic:
    """Goes on with what `folder` holds of the same experience and settings; kept there as `critic.npz` too.

    Raises ValueError where there are fewer samples than candidates, or nothing to learn from or to calibrate with.
    """
    _check(experience, settings)
    rows = training_rows(experience, settings)
    told = experience.transitions
    scale = scale_of(Seen(told.features[rows], told.state[rows]))
    chunk = (told.chunk.shape[1], told.chunk.shape[2])
    params = init_critic(jax.random.key(settings.seed), len(scale.mean), chunk, settings.widths)
    start = {"params": params, "target": params, "optimiser": optax.adam(settings.lr).init(params)}
    fitting = Fitting(
        "critic", folder, identity_of(experience, settings), settings.steps, settings.save_every, settings.seed
    )
    state = fitting.run(start, _on_device(experience, rows, scale), _advance(settings))
    critic = Critic(state["params"], scale, chunk)
    critic.save(folder)
    return critic


def identity_of(experience: Experience, settings: CriticConfig) -> Identity:
    plain = {name: value for name, value in dataclasses.asdict(settings).items() if name not in NOT_LEARNING}
    return Identity("critic", {"experience": experience.digest}, plain, code=CODE)


def training_rows(experience: Experience, settings: CriticConfig) -> np.ndarray:
    held_out = held_out_episodes(experience.succeeded, experience.own, settings.held_out, settings.seed)
    return np.flatnonzero(~np.isin(experience.episode, held_out))


def _check(experience: Experience, settings: CriticConfig) -> None:
    count = experience.samples.shape[1]
    if settings.candidates > count:
        raise ValueError(
            f"improve.critic.candidates={settings.candidates} with {count} sampled chunks a row: expected as many or fewer; "
            f"choose improve.critic.samples={settings.candidates}"
        )
    if len(training_rows(experience, settings)) in (0, len(experience.episode)):
        raise ValueError(
            f"{int(experience.own.sum())} of {len(experience.succeeded)} episodes are the policy's own; expected two successes "
            "or two failures at least, one to learn from and one for the calibration: roll the policy out on more scenes"
        )


def _on_device(experience: Experience, rows: np.ndarray, scale: Scale) -> dict[str, Any]:
    arrays = {name: jnp.asarray(array) for name, array in vars(experience.transitions).items()}
    return {**arrays, "samples": jnp.asarray(experience.samples), "rows": jnp.asarray(rows), "scale": scale}


def _rows(data: dict[str, Any], chosen: jax.Array) -> Rows:
    after = data["next_row"][chosen]
    seen, seen_next = (Seen(data["features"][where], data["state"][where]) for where in (chosen, after))
    own = {name: data[name][chosen] for name in ("chunk", "reward", "discount", "return_to_go")}
    return Rows(seen=seen, seen_next=seen_next, here=data["samples"][chosen], there=data["samples"][after], **own)


def _advance(settings: CriticConfig) -> Any:
    optimiser = optax.adam(settings.lr)

    def advance(state: State, data: dict[str, Any], key: jax.Array) -> tuple[State, Numbers]:
        of_rows, of_candidates = jax.random.split(key)
        (place,) = drawn(of_rows, settings.batch_size, len(data["rows"]))
        rows = _rows(data, data["rows"][place])

        def loss(params: Any) -> tuple[jax.Array, Numbers]:
            return critic_loss(params, state["target"], data["scale"], rows, of_candidates, settings, BOUND)

        (total, numbers), gradient = jax.value_and_grad(loss, has_aux=True)(state["params"])
        updates, kept = optimiser.update(gradient, state["optimiser"], state["params"])
        params = optax.apply_updates(state["params"], updates)
        target = optax.incremental_update(params, state["target"], 1 - settings.target_ema)
        return {"params": params, "target": target, "optimiser": kept}, {"loss": total, **numbers}

    return advance
