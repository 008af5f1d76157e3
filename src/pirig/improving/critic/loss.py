"""Cal-QL (Nakamoto et al. 2023, arXiv:2303.05479) on chunks: a backup over the executed steps and a calibrated conservative term.

Candidates are uniform chunks, and the policy's at this row and at the next one. Each of their values is at least the Monte-Carlo
return: what was seen to be possible is not pressed below. No density is divided out: a flow policy has none at hand.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from pirig.config.critic import CriticConfig
from pirig.models.critic.network import Scale, Seen, values
from pirig.models.leaves import Tree

Numbers = dict[str, jax.Array]


class Rows(NamedTuple):
    """A batch of transitions. `here` and `there`: candidates of the policy at the row and at the one that it leads to."""

    seen: Seen
    chunk: Float[jax.Array, "batch h action_dim"]
    reward: Float[jax.Array, " batch"]
    discount: Float[jax.Array, " batch"]
    return_to_go: Float[jax.Array, " batch"]
    here: Float[jax.Array, "batch samples h action_dim"]
    seen_next: Seen
    there: Float[jax.Array, "batch samples h action_dim"]


def target_of(target: Tree, scale: Scale, rows: Rows, backup: str) -> Float[jax.Array, " batch"]:
    """reward + discount x value of the next row: of its chunks the smaller of both members' values, of these the mean or the
    best. Between 0 and 1, for nothing else is possible."""
    lower = values(target, scale, rows.seen_next, rows.there).min(axis=0)
    after = lower.max(axis=1) if backup == "best" else lower.mean(axis=1)
    return jax.lax.stop_gradient(jnp.clip(rows.reward + rows.discount * after, 0.0, 1.0))


def critic_loss(
    params: Tree, target: Tree, scale: Scale, rows: Rows, key: jax.Array, settings: CriticConfig, bound: float
) -> tuple[Float[jax.Array, ""], Numbers]:
    """Mean of (Q - target)^2 / 2 + alpha x conservative difference, and what to watch. `bound`: of uniform chunks."""
    uniform, here, there = candidates_of(key, rows, settings.candidates, bound)
    all_chunks = jnp.concatenate([rows.chunk[:, None], uniform, here, there], axis=1)
    q = values(params, scale, rows.seen, all_chunks)
    of_data, of_candidates = q[..., 0], q[..., 1:]
    wanted = target_of(target, scale, rows, settings.backup)
    bellman = 0.5 * jnp.square(of_data - wanted).mean()
    apart, binds = conservative(of_data, of_candidates, rows.return_to_go, settings.temperature)
    difference = jnp.clip(apart, -settings.clip, settings.clip).mean()
    numbers = {
        "bellman": bellman,
        "conservative": difference,
        "clipped": (jnp.abs(apart) >= settings.clip).mean(),
        "bound_binds": binds[..., settings.candidates :].mean(),
        "bound_binds_uniform": binds[..., : settings.candidates].mean(),
        "q_data": of_data.mean(),
        "q_policy": of_candidates[..., settings.candidates :].mean(),
        "q_uniform": of_candidates[..., : settings.candidates].mean(),
        "target": wanted.mean(),
    }
    return bellman + settings.alpha * difference, numbers


def conservative(
    of_data: Float[jax.Array, "members batch"],
    of_candidates: Float[jax.Array, "members batch candidates"],
    return_to_go: Float[jax.Array, " batch"],
    temperature: float,
) -> tuple[Float[jax.Array, "members batch"], Float[jax.Array, "members batch candidates"]]:
    """T log mean exp(Q / T) over the bounded candidates and the data's chunk, minus the data's Q; and 1 where the bound binds."""
    lowest = return_to_go[None, :, None]
    bounded = jnp.maximum(of_candidates, lowest)
    together = jnp.concatenate([bounded, of_data[..., None]], axis=-1)
    soft = jax.nn.logsumexp(together / temperature, axis=-1) - jnp.log(together.shape[-1])
    return temperature * soft - of_data, (of_candidates < lowest).astype(jnp.float32)


def candidates_of(key: jax.Array, rows: Rows, count: int, bound: float) -> tuple[jax.Array, jax.Array, jax.Array]:
    """`count` uniform chunks within the bound, and so many of the policy's here and there, none twice."""
    batch, *chunk = rows.chunk.shape
    shares = jax.random.uniform(key, (batch, 2 + count * chunk[0] * chunk[1]))
    uniform = bound * (2 * shares[:, 2:] - 1)
    here, there = (_some(shares[:, place], chunks, count) for place, chunks in enumerate((rows.here, rows.there)))
    return uniform.reshape(batch, count, *chunk), here, there


def _some(share: jax.Array, chunks: jax.Array, count: int) -> jax.Array:
    """So many behind one another from a place that is drawn for each row: they are independent draws in any order."""
    samples = chunks.shape[1]
    places = ((share * samples).astype(jnp.int32)[:, None] + jnp.arange(count)) % samples
    return jnp.take_along_axis(chunks, places[:, :, None, None], axis=1)
