"""The interface of a flow model: what training, validation and a policy ask of it, whatever it is made of."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import jax

from pirig.models.leaves import Tree


class ModelInputs(NamedTuple):
    """The tensors that a model is fed. `images` are uint8, or float32 in [-1, 1], [B, H, W, 3]; absent cameras are not
    encoded.

    `image_masks` bool [B] per camera; `state` f32 [B, J]; `tokens` i32 [B, L]; `token_mask` bool [B, L].
    """

    images: dict[str, jax.Array]
    image_masks: dict[str, jax.Array]
    state: jax.Array
    tokens: jax.Array
    token_mask: jax.Array


class InitParams(Protocol):
    def __call__(self, key: jax.Array, config: Any, /) -> Tree:
        """Fresh float32 parameters."""
        ...


class DrawNoiseAndTime(Protocol):
    def __call__(self, key: jax.Array, action_shape: tuple[int, ...], /) -> tuple[jax.Array, jax.Array]:
        """Noise of `action_shape` [..., A, J] and flow times [...]."""
        ...


class EncodeImages(Protocol):
    def __call__(self, params: Tree, config: Any, inputs: ModelInputs, /) -> jax.Array | None:
        """The tower's tokens [C, B, T, D], cameras in the order of their roles' names; None without a camera."""
        ...


class ComputeLoss(Protocol):
    def __call__(
        self, params: Tree, config: Any, inputs: ModelInputs, actions: jax.Array, /, *, noise: jax.Array,
        flow_time: jax.Array, features: jax.Array | None = None,
    ) -> jax.Array:  # fmt: skip
        """Flow-matching error, the mean over J: actions and noise [B, A, J], flow_time [B] -> [B, A].

        With noise [K, B, A, J] and flow_time [K, B] -> [K, B, A]. `features`: what `encode_images` gave for these
        inputs; None: the images are encoded here.
        """
        ...


class SampleActions(Protocol):
    def __call__(self, params: Tree, config: Any, inputs: ModelInputs, /, *, noise: jax.Array, steps: int) -> jax.Array:
        """Euler steps from noise [B, A, J] at time 1 to actions [B, A, J] at time 0."""
        ...


class FlowModel(NamedTuple):
    """The functions of a model; `config` is the model's own. None where it cannot: then no actions are measured, and no
    auxiliary loss may be asked for."""

    init_params: InitParams
    compute_loss: ComputeLoss
    draw_noise_and_time: DrawNoiseAndTime
    sample_actions: SampleActions | None = None
    encode_images: EncodeImages | None = None


def flow_model() -> FlowModel:
    """pi0 and pi0.5."""
    from pirig.models import pi0
    from pirig.models.scratch import fresh_params

    return FlowModel(fresh_params, pi0.compute_loss, pi0.draw_noise_and_time, pi0.sample_actions, pi0.encode_images)
