"""Best of N: of several chunks of the policy the one that the critic values most."""

from __future__ import annotations

import jax
from jaxtyping import Float, Int

from pirig.models.critic.learned import Critic
from pirig.models.critic.network import Seen


def best_of(
    critic: Critic, seen: Seen, chunks: Float[jax.Array, "batch candidates horizon action_dim"]
) -> tuple[Int[jax.Array, " batch"], Float[jax.Array, "batch candidates"]]:
    """The place of the best chunk of each row (the first of equal ones), and every chunk's value by the smaller member.

    `chunks`: normalised, at least as long as what the critic judges; it sees the steps that will be executed. Raises ValueError
    where they are shorter or have other numbers.
    """
    steps, numbers = critic.chunk
    if chunks.shape[2] < steps or chunks.shape[3] != numbers:
        raise ValueError(
            f"chunks of {chunks.shape[2]} steps with {chunks.shape[3]} numbers; expected at least {steps} steps with {numbers}: "
            "execute as many steps as where the critic learned"
        )
    judged = critic.lower(seen, chunks[:, :, :steps])
    return judged.argmax(axis=1), judged
