"""The interface of a flow model: what training, validation and a policy ask of it, whatever it is made of."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import jax
from jaxtyping import Bool, Float, Int, UInt8

from pirig.models.leaves import Tree
from pirig.models.sampling import Guide


class ModelInputs(NamedTuple):
    """The tensors that a model is fed. `images` are uint8, or float32 in [-1, 1]; absent cameras are not encoded."""

    images: dict[str, UInt8[jax.Array, "batch height width 3"] | Float[jax.Array, "batch height width 3"]]
    image_masks: dict[str, Bool[jax.Array, " batch"]]
    state: Float[jax.Array, "batch action_dim"]
    tokens: Int[jax.Array, "batch length"]
    token_mask: Bool[jax.Array, "batch length"]


class InitParams(Protocol):
    def __call__(self, key: jax.Array, config: Any, /) -> Tree:
        """Fresh float32 parameters."""
        ...


class DrawNoiseAndTime(Protocol):
    def __call__(
        self, key: jax.Array, action_shape: tuple[int, ...], /
    ) -> tuple[Float[jax.Array, "*lead action_horizon action_dim"], Float[jax.Array, "*lead"]]:
        """Noise of `action_shape`, and flow times."""
        ...


class EncodeImages(Protocol):
    def __call__(
        self, params: Tree, config: Any, inputs: ModelInputs, /
    ) -> Float[jax.Array, "cameras batch tokens width"] | None:
        """The tower's tokens, cameras in the order of their roles' names; None without a camera."""
        ...


class ComputeLoss(Protocol):
    def __call__(
        self,
        params: Tree,
        config: Any,
        inputs: ModelInputs,
        actions: Float[jax.Array, "batch action_horizon action_dim"],
        /,
        *,
        noise: Float[jax.Array, "*draws batch action_horizon action_dim"],
        flow_time: Float[jax.Array, "*draws batch"],
        features: Float[jax.Array, "cameras batch tokens width"] | None = None,
    ) -> Float[jax.Array, "*draws batch action_horizon"]:
        """Flow-matching error, the mean over the action's numbers. With several draws the images are encoded once.

        `features`: what `encode_images` gave for these inputs; None: the images are encoded here.
        """
        ...


class SampleActions(Protocol):
    def __call__(
        self,
        params: Tree,
        config: Any,
        inputs: ModelInputs,
        /,
        *,
        noise: Float[jax.Array, "batch action_horizon action_dim"],
        steps: int,
        guide: Guide | None = None,
    ) -> Float[jax.Array, "batch action_horizon action_dim"]:
        """Euler steps from noise at time 1 to actions at time 0 (`models.sampling.integrate`)."""
        ...


class SampleWithFeatures(Protocol):
    def __call__(
        self,
        params: Tree,
        config: Any,
        inputs: ModelInputs,
        /,
        *,
        noise: Float[jax.Array, "draws batch action_horizon action_dim"],
        steps: int,
    ) -> tuple[Float[jax.Array, "batch width"], Float[jax.Array, "draws batch action_horizon action_dim"]]:
        """What a critic looks at, and a chunk of each draw, from one pass over the inputs."""
        ...


class LookAtState(Protocol):
    def __call__(self, params: Tree, config: Any, /) -> Tree:
        """Fresh parameters whose actions look at the state from the start."""
        ...


class FlowModel(NamedTuple):
    """The functions of a model; `config` is the model's own. None where it cannot: then no actions are measured, no
    auxiliary loss may be asked for, no critic learns, and fresh parameters stay as they are."""

    init_params: InitParams
    compute_loss: ComputeLoss
    draw_noise_and_time: DrawNoiseAndTime
    sample_actions: SampleActions | None = None
    encode_images: EncodeImages | None = None
    sample_with_features: SampleWithFeatures | None = None
    look_at_state: LookAtState | None = None
