"""Best of N: a policy that foresees several chunks at each look and takes the one that a critic values most."""

from __future__ import annotations

from pathlib import Path

import jax.numpy as jnp
import numpy as np

from pirig.config.measuring import EvalConfig
from pirig.models.critic import learned
from pirig.models.critic.choose import best_of
from pirig.models.critic.learned import Critic
from pirig.models.critic.network import Seen
from pirig.policies.critic_card import CriticCard
from pirig.policies.foresight import Foresight, draws_of
from pirig.policies.policy import Policy, Rows
from pirig.policies.underway import Underway


def critic_of(folder: Path, policy: str, execute: int) -> Critic:
    """The critic in `folder`. Raises ValueError where it is of another policy than that of this digest, judges other steps than
    those that are executed, or is privileged."""
    card = CriticCard.load(folder)
    if card.privileged:
        raise ValueError(
            f"eval.critic={folder}: it is privileged, it looks at labels that no policy is shown; take another one."
        )
    if card.policy != policy:
        raise ValueError(
            f"eval.critic={folder}: it has learned on the features of policy {card.policy}, and this one is {policy}; its values "
            "say nothing here. Let `pirig improve` make one of this checkpoint."
        )
    if card.execute != execute:
        raise ValueError(
            f"eval.critic={folder}: it judges chunks of which {card.execute} steps are executed, and eval.execute={execute}; "
            f"give eval.execute={card.execute}."
        )
    return learned.load(folder)


def chosen_by_critic(policy: Policy, settings: EvalConfig, digest: str) -> Policy:
    """The policy, of this digest, with the critic that the settings name; the policy itself where they name none. Raises as
    `critic_of`."""
    if settings.best_of == 1:
        return policy
    return BestOf(policy, critic_of(Path(settings.critic), digest, settings.execute), settings.best_of)


class BestOf(Policy):
    """`samples` chunks share one pass over what is seen; the first is that of the noise which the policy alone would take."""

    def __init__(self, policy: Policy, critic: Critic, samples: int):
        vars(self).update(vars(policy))
        self.blends = False
        self.critic, self.samples, self.foresight = critic, samples, Foresight(policy)

    def _sampled(self, rows: Rows, underway: list[Underway] | None) -> np.ndarray:
        assert underway is None  # such a policy says that it takes none
        inputs, noise = self._filled(rows)
        foreseen = self.foresight.of_inputs(inputs, draws_of(noise, self.samples))
        numbers = self.critic.chunk[1]
        seen = Seen(foreseen.features, foreseen.state)
        best, _ = best_of(self.critic, seen, jnp.asarray(foreseen.chunks[..., :numbers]))
        return foreseen.chunks[np.arange(len(best)), np.asarray(best)][: len(rows.state_raw)]
