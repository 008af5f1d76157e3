"""Best of N: a policy that foresees several chunks at each look and takes the one that a critic values most."""

from __future__ import annotations

from pathlib import Path

import jax.numpy as jnp
import numpy as np

from pirig.config.measuring import EvalConfig
from pirig.models.critic import heads, learned
from pirig.models.critic.choose import best_of
from pirig.models.critic.learned import Critic
from pirig.models.critic.network import Seen
from pirig.policies.critic_card import CriticCard
from pirig.policies.foresight import Foresight, draws_of
from pirig.policies.headed import Headed, OneStep
from pirig.policies.policy import Policy, Rows
from pirig.policies.underway import Underway


def require_fits(key: str, folder: Path, policy: str, execute: int) -> None:
    """Raises ValueError where the critic or the head in `folder` is of another policy than that of this digest, knows other steps
    than are executed, or is privileged."""
    card = CriticCard.load(folder, key)
    if card.privileged:
        raise ValueError(
            f"{key}={folder}: it is privileged, it looks at labels that no policy is shown; take another one."
        )
    if card.policy != policy:
        raise ValueError(
            f"{key}={folder}: it has learned on the features of policy {card.policy}, and this one is {policy}; what it "
            "knows says nothing here. Let `pirig improve` make one of this checkpoint."
        )
    if card.execute != execute:
        raise ValueError(
            f"{key}={folder}: it judges chunks of which {card.execute} steps are executed, and eval.execute={execute}; "
            f"give eval.execute={card.execute}."
        )


def chosen_by_critic(policy: Policy, settings: EvalConfig, digest: str) -> Policy:
    """The policy, of this digest, with the critic or the head that the settings name; the policy itself where they name none.
    Raises as `require_fits`."""
    if settings.head:
        require_fits("eval.head", Path(settings.head), digest, settings.execute)
        head = heads.load(Path(settings.head))
        further = settings.delay != "0" or settings.ensemble > 0  # steps behind the head's are executed too
        return Headed(policy, head) if head.bound or further else OneStep(policy, head)
    if settings.best_of == 1:
        return policy
    require_fits("eval.critic", Path(settings.critic), digest, settings.execute)
    return BestOf(policy, learned.load(Path(settings.critic)), settings.best_of)


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
