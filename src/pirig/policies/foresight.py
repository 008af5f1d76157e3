"""What a critic is shown of a frozen policy: pooled features, the normalised state, and several chunks that it foresees."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32

from pirig.models.critic.network import Seen
from pirig.models.flow import ModelInputs
from pirig.models.kinds import flow_model
from pirig.policies.policy import Policy


class Foreseen(NamedTuple):
    """`chunks`: in the model's numbers, padded as the model pads."""

    features: Float32[np.ndarray, "rows features"]
    state: Float32[np.ndarray, "rows state"]
    chunks: Float32[np.ndarray, "rows draws action_horizon padded"]


class Foresight:
    """Of one policy. On a CPU each row goes through a program of one row, as in `Policy`."""

    def __init__(self, policy: Policy):
        self.policy = policy
        config, steps, sample = policy.pipeline.model_config, policy.flow_steps, flow_model().sample_with_features
        assert sample is not None
        self._sample = jax.jit(lambda tree, inputs, noise: sample(tree, config, inputs, noise=noise, steps=steps))
        self._features = jax.jit(lambda *asked: self._sample(*asked)[0])  # chunks that nobody takes are not computed

    def __call__(
        self,
        images: dict[str, np.ndarray],
        state_raw: np.ndarray,
        noise: Float32[np.ndarray, "rows draws action_horizon padded"],
    ) -> Foreseen:
        """Images and states as `Policy.predict` takes them, of a policy of one task; any number of rows."""
        size, parts = self.policy.rows_a_call, list[Foreseen]()
        for start in range(0, len(state_raw), size):
            rows = slice(start, start + size)
            shown = {role: pixels[rows] for role, pixels in images.items()}
            parts.append(self.of_inputs(self.policy.model_inputs(shown, state_raw[rows]), noise[rows]))
        return Foreseen(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def of_inputs(
        self, inputs: ModelInputs, noise: Float32[np.ndarray, "rows draws action_horizon padded"]
    ) -> Foreseen:
        """Of the tensors that the model is fed, one call."""
        features, chunks = self._sample(self.policy.params, inputs, noise.swapaxes(0, 1))
        return Foreseen(
            np.asarray(features, np.float32), self._state(inputs), np.asarray(chunks, np.float32).swapaxes(0, 1)
        )

    def seen(self, inputs: ModelInputs) -> Seen:
        """The same without chunks, and without what they cost."""
        noise = jnp.zeros((1, len(inputs.state), *self.policy.noise_shape), jnp.float32)
        return Seen(np.asarray(self._features(self.policy.params, inputs, noise), np.float32), self._state(inputs))

    def _state(self, inputs: ModelInputs) -> Float32[np.ndarray, "rows state"]:
        return np.asarray(inputs.state)[:, : self.policy.pipeline.contract.state_dim].astype(np.float32)


def draws_of(noise: Float32[np.ndarray, "rows action_horizon padded"], count: int) -> np.ndarray:
    """f32 [rows, count, A, J]: each row's noise, and others that follow from it, so that nobody else need name them."""
    others = [np.random.default_rng(np.frombuffer(np.ascontiguousarray(row).tobytes(), np.uint32)) for row in noise]
    more = [random.standard_normal((count - 1, *noise.shape[1:]), np.float32) for random in others]
    return np.concatenate([noise[:, None], np.stack(more)], axis=1)
