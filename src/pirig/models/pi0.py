"""pi0 and pi0.5: a vision-language prefix and an action expert that turns noise into an action chunk by flow matching.

The prefix (images, text) never attends to the suffix (state, noisy actions), so it runs once to a key/value cache, in
training as in sampling; gradients flow through the cache. Several noise draws can share one prefix.
Axis names: B batch, K draws, A action horizon, J padded action width, P prefix tokens, S suffix tokens, D width.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from pirig.models.flow import ModelInputs
from pirig.models.gemma import Cache, embed_tokens, run_stack, with_layers_cut
from pirig.models.layout import init_params, param_shapes
from pirig.models.sampling import Guide, integrate
from pirig.models.sizes import ModelConfig
from pirig.models.towers.door import tower_named

__all__ = [
    "ModelInputs", "compute_loss", "draw_noise_and_time", "encode_images", "init_params", "param_shapes", "sample_actions",
    "sample_with_features",
]  # fmt: skip

Tree = dict[str, Any]
MIN_PERIOD, MAX_PERIOD = 4e-3, 4.0


class Prefix(NamedTuple):
    """The encoded inputs: the VLM's cache, its valid tokens and its output."""

    cache: Cache
    mask: Bool[jax.Array, "batch prefix"]
    out: Float[jax.Array, "batch prefix width"]


def draw_noise_and_time(
    key: jax.Array, action_shape: tuple[int, ...]
) -> tuple[Float[jax.Array, "*lead action_horizon action_dim"], Float[jax.Array, "*lead"]]:
    """Noise of `action_shape` and flow times, drawn as openpi draws them from a step's key."""
    _, noise_key, time_key = jax.random.split(key, 3)
    noise = jax.random.normal(noise_key, action_shape)
    return noise, jax.random.beta(time_key, 1.5, 1.0, action_shape[:-2]) * 0.999 + 0.001


def compute_loss(
    params: Tree,
    config: ModelConfig,
    inputs: ModelInputs,
    actions: Float[jax.Array, "*#draws batch action_horizon action_dim"],
    *,
    noise: Float[jax.Array, "*draws batch action_horizon action_dim"],
    flow_time: Float[jax.Array, "*draws batch"],
    features: Float[jax.Array, "cameras batch tokens width"] | None = None,
) -> Float[jax.Array, "*draws batch action_horizon"]:
    """Flow-matching error, the mean over the action's numbers; with several draws the prefix runs once.

    `features`: the images' tokens where `encode_images` was called already.
    """
    single = noise.ndim == 3
    if single:
        noise, flow_time = noise[None], flow_time[None]
    noise, flow_time = noise.swapaxes(0, 1), flow_time.swapaxes(0, 1)  # [B, K, A, J], [B, K]
    actions = actions[:, None] if actions.ndim == 3 else actions.swapaxes(0, 1)
    time = flow_time[..., None, None]
    noisy = time * noise + (1 - time) * actions
    prefix = encode_prefix(params, config, inputs, features)
    velocity = predict_velocity(params, config, inputs.state, prefix, noisy, flow_time)
    loss = jnp.square(velocity - (noise - actions)).mean(axis=-1)
    return loss[:, 0] if single else loss.swapaxes(0, 1)


def sample_actions(
    params: Tree,
    config: ModelConfig,
    inputs: ModelInputs,
    *,
    noise: Float[jax.Array, "batch action_horizon action_dim"],
    steps: int,
    guide: Guide | None = None,
) -> Float[jax.Array, "batch action_horizon action_dim"]:
    """Euler steps from noise at time 1 to actions at time 0, going on from a chunk that is underway where one guides them."""
    prefix = encode_prefix(params, config, inputs)
    params = _with_expert_cut(params, config)

    def velocity(x: jax.Array, time: jax.Array) -> jax.Array:
        times = jnp.broadcast_to(time, (x.shape[0], 1))
        return predict_velocity(params, config, inputs.state, prefix, x[:, None], times)[:, 0]

    return integrate(velocity, noise, steps, guide)


def sample_with_features(
    params: Tree,
    config: ModelConfig,
    inputs: ModelInputs,
    *,
    noise: Float[jax.Array, "draws batch action_horizon action_dim"],
    steps: int,
) -> tuple[Float[jax.Array, "batch width"], Float[jax.Array, "draws batch action_horizon action_dim"]]:
    """The prefix's features (the mean of its valid tokens' outputs, float32), and a chunk from each draw of noise, as
    `sample_actions` gives it; the prefix runs once for all of it."""
    prefix = encode_prefix(params, config, inputs)
    params, draws = _with_expert_cut(params, config), noise.swapaxes(0, 1)
    batch, count, steps_of_chunk, width = draws.shape

    def velocity(x: jax.Array, time: jax.Array) -> jax.Array:
        times = jnp.broadcast_to(time, (batch, count))
        return predict_velocity(params, config, inputs.state, prefix, x.reshape(draws.shape), times).reshape(x.shape)

    chunks = integrate(velocity, draws.reshape(batch, count * steps_of_chunk, width), steps)
    weights = prefix.mask[..., None].astype(jnp.float32)
    features = (prefix.out.astype(jnp.float32) * weights).sum(axis=1) / jnp.maximum(weights.sum(axis=1), 1)
    return features, chunks.reshape(draws.shape).swapaxes(0, 1)


def _with_expert_cut(params: Tree, config: ModelConfig) -> Tree:
    gemma = params["PaliGemma"] | {"llm": with_layers_cut(params["PaliGemma"]["llm"], config.expert, "_1")}
    return params | {"PaliGemma": gemma}


def encode_images(
    params: Tree, config: ModelConfig, inputs: ModelInputs
) -> Float[jax.Array, "cameras batch tokens width"] | None:
    """The tower's tokens, cameras in the order of their names; None where there is no camera."""
    if not inputs.images:
        return None
    tower, dtype = tower_named(config.tower), jnp.dtype(config.compute_dtype)
    return tower.encode(tower.of(params), config.image, inputs.images, dtype=dtype, remat=config.remat)


def embed_prefix(
    params: Tree,
    config: ModelConfig,
    inputs: ModelInputs,
    features: Float[jax.Array, "cameras batch tokens width"] | None = None,
) -> tuple[Float[jax.Array, "batch prefix width"], Bool[jax.Array, "batch prefix"]]:
    """Image tokens, cameras in the order of their names, then text, and which are valid.

    `features`: the images' tokens where `encode_images` was called already.
    """
    text = embed_tokens(params["PaliGemma"]["llm"], inputs.tokens, jnp.dtype(config.compute_dtype))
    cameras = encode_images(params, config, inputs) if features is None else features
    if cameras is None:
        return text, inputs.token_mask
    batch, count = cameras.shape[1:3]
    tokens = jnp.concatenate([*cameras, text], axis=1)
    masks = [
        jnp.broadcast_to(jnp.asarray(inputs.image_masks[name], bool)[:, None], (batch, count))
        for name in sorted(inputs.images)
    ]
    return tokens, jnp.concatenate([*masks, inputs.token_mask], axis=1)


def encode_prefix(
    params: Tree,
    config: ModelConfig,
    inputs: ModelInputs,
    features: Float[jax.Array, "cameras batch tokens width"] | None = None,
) -> Prefix:
    """Runs the VLM over images and text; its output is dead code wherever only the cache is used."""
    tokens, mask = embed_prefix(params, config, inputs, features)
    positions = jnp.cumsum(mask, axis=1) - 1
    out, cache = run_stack(
        params["PaliGemma"]["llm"],
        config.vlm,
        "",
        tokens[:, None],
        positions=positions,
        mask=mask[:, None, :],
        remat=config.remat,
    )
    return Prefix(cache, mask, out[:, 0])


def predict_velocity(
    params: Tree,
    config: ModelConfig,
    state: Float[jax.Array, "batch state_dim"],
    prefix: Prefix,
    noisy: Float[jax.Array, "batch draws action_horizon action_dim"],
    flow_time: Float[jax.Array, "batch draws"],
) -> Float[jax.Array, "batch draws action_horizon action_dim"]:
    """The action expert: noisy actions at their flow times -> velocity."""
    out = run_suffix(params, config, state, prefix, noisy, flow_time)
    return _linear(out[:, :, -noisy.shape[2] :], params["action_out_proj"])


def run_suffix(
    params: Tree,
    config: ModelConfig,
    state: Float[jax.Array, "batch state_dim"],
    prefix: Prefix,
    noisy: Float[jax.Array, "batch draws action_horizon action_dim"],
    flow_time: Float[jax.Array, "batch draws"],
) -> Float[jax.Array, "batch draws suffix width"]:
    """The action expert's normed output; a draw sees the prefix and itself, never another draw."""
    tokens, cond = embed_suffix(params, config, state, noisy, flow_time)
    positions, mask = suffix_attention(config, prefix.mask, tokens.shape[1], tokens.shape[2])
    out, _ = run_stack(
        params["PaliGemma"]["llm"],
        config.expert,
        "_1",
        tokens.astype(config.compute_dtype),
        positions=positions,
        mask=mask,
        cond=cond,
        cache=prefix.cache,
        remat=config.remat,
    )
    return out


def suffix_attention(
    config: ModelConfig, prefix_mask: Bool[jax.Array, "batch prefix"], draws: int, length: int
) -> tuple[Int[jax.Array, "batch queries"], Bool[jax.Array, "batch queries keys"]]:
    """Where the suffix stands and what it sees: positions i32 [B, K*S], mask bool [B, K*S, P + K*S]."""
    batch, prefix = prefix_mask.shape
    positions = jnp.tile(prefix_mask.sum(axis=1)[:, None] + jnp.arange(length), (1, draws))
    own = jnp.kron(jnp.eye(draws), suffix_mask(config, length).astype(jnp.float32)) > 0  # [K*S, K*S], a block per draw
    seen = jnp.broadcast_to(prefix_mask[:, None, :], (batch, draws * length, prefix))
    return positions, jnp.concatenate([seen, jnp.broadcast_to(own, (batch, *own.shape))], axis=-1)


def suffix_mask(config: ModelConfig, length: int) -> Bool[jax.Array, "length length"]:
    """Which suffix token (row) sees which (column): pi0's state token does not see the actions."""
    block = jnp.ones((length, length), bool)
    return block if config.pi05 else block.at[0, 1:].set(False)


def embed_suffix(
    params: Tree,
    config: ModelConfig,
    state: Float[jax.Array, "batch state_dim"],
    noisy: Float[jax.Array, "batch draws action_horizon action_dim"],
    flow_time: Float[jax.Array, "batch draws"],
) -> tuple[Float[jax.Array, "batch draws suffix width"], Float[jax.Array, "batch draws width"] | None]:
    """Suffix tokens (pi0: the state and the actions; pi0.5: the actions), pi0.5's condition."""
    actions = _linear(noisy, params["action_in_proj"])
    time = time_embedding(flow_time, config.expert.width)
    if config.pi05:
        hidden = jax.nn.swish(_linear(time, params["time_mlp_in"]))
        return actions, jax.nn.swish(_linear(hidden, params["time_mlp_out"]))
    repeated = jnp.broadcast_to(time[:, :, None, :], (*actions.shape[:3], time.shape[-1]))
    hidden = jax.nn.swish(_linear(jnp.concatenate([actions, repeated], axis=-1), params["action_time_mlp_in"]))
    actions = _linear(hidden, params["action_time_mlp_out"])
    token = _linear(state, params["state_proj"])[:, None, None, :]
    token = jnp.broadcast_to(token, (*actions.shape[:2], 1, actions.shape[-1]))
    return jnp.concatenate([token, actions], axis=2), None


def time_embedding(flow_time: Float[jax.Array, "batch draws"], width: int) -> Float[jax.Array, "batch draws {width}"]:
    """Sines, then cosines, of `width` / 2 periods from MIN_PERIOD to MAX_PERIOD."""
    period = MIN_PERIOD * (MAX_PERIOD / MIN_PERIOD) ** jnp.linspace(0.0, 1.0, width // 2)
    radians = flow_time[..., None] * (1.0 / period * 2 * jnp.pi)
    return jnp.concatenate([jnp.sin(radians), jnp.cos(radians)], axis=-1)


def _linear(x: jax.Array, params: Tree) -> jax.Array:
    return x @ params["kernel"] + params["bias"]
