"""A policy whose chunks a small head makes or moves: what acts after improve.use=fql or improve.use=residual."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from pirig.models.critic.heads import Head
from pirig.models.critic.network import Seen
from pirig.policies.foresight import Foresight
from pirig.policies.policy import Policy, Rows
from pirig.policies.underway import Underway


class Headed(Policy):
    """The head's steps come first in each chunk, and those behind them, which are not executed, stay the policy's own."""

    def __init__(self, policy: Policy, head: Head):
        vars(self).update(vars(policy))
        self.blends = False
        self.foresight, self.head = Foresight(policy), head
        self._act = jax.jit(lambda seen, shown: head(seen, shown))

    def _sampled(self, rows: Rows, underway: list[Underway] | None) -> np.ndarray:
        assert underway is None  # such a policy says that it takes none
        inputs, noise = self._filled(rows)
        foreseen = self.foresight.of_inputs(inputs, noise[:, None])
        chunks, (steps, numbers) = foreseen.chunks[:, 0].copy(), self.head.chunk
        shown = chunks[:, :steps, :numbers] if self.head.bound else noise
        acted = self._act(Seen(foreseen.features, foreseen.state), jnp.asarray(shown))
        chunks[:, :steps, :numbers] = np.asarray(acted)
        return chunks[: len(rows.state_raw)]


class OneStep(Policy):
    """A one-step head in the policy's place: its chunks are the head's steps alone, and no Euler step is computed."""

    def __init__(self, policy: Policy, head: Head):
        vars(self).update(vars(policy))
        self.blends, self.horizon = False, head.chunk[0]
        self.foresight, self.head = Foresight(policy), head
        self._act = jax.jit(lambda seen, noise: head(seen, noise))

    def _sampled(self, rows: Rows, underway: list[Underway] | None) -> np.ndarray:
        assert underway is None  # such a policy says that it takes none
        inputs, noise = self._filled(rows)
        chunks = np.zeros((len(noise), self.horizon, noise.shape[2]), np.float32)
        chunks[..., : self.head.chunk[1]] = self._act(self.foresight.seen(inputs), jnp.asarray(noise))
        return chunks[: len(rows.state_raw)]
