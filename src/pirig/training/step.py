"""One training step as one compiled, donated function: augmentation, loss, clip, AdamW, EMA, metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from pirig.config.schema import TrainConfig
from pirig.training.augment import augment, to_unit_range
from pirig.training.optimizer import Tree, kernel_norm, make_optimizer, merge, select
from pirig.training.schedules import Schedule, make_schedule

Batch = dict[str, Any]  # images {role: u8 [B,H,W,3]}, image_masks {role: bool [B]}, state, tokens, token_mask, actions
Metrics = dict[str, jax.Array]


class FlowModel(NamedTuple):
    """The functions of a model that training needs; `flow_model()` gives those of pi0 and pi0.5.

    init_params(key, model_config) -> tree; compute_loss(params, model_config, observation, actions, *, noise,
    flow_time) -> [B, A], or [K, B, A] for K draws; draw_noise_and_time(key, action_shape) -> (noise, flow_time);
    observation: a NamedTuple type with images, image_masks, state, tokens, token_mask.
    """

    init_params: Callable[..., Tree]
    compute_loss: Callable[..., jax.Array]
    draw_noise_and_time: Callable[..., tuple[jax.Array, jax.Array]]
    observation: Any


def flow_model() -> FlowModel:
    from pirig.models import pi0

    return FlowModel(pi0.init_params, pi0.compute_loss, pi0.draw_noise_and_time, pi0.Observation)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrainState:
    """Everything that training changes. `ema` and `opt_state` cover the trained leaves only; `ema` is {} when off.

    `step` counts the updates made, `rng` is the run's key: step i uses fold_in(rng, i).
    """

    step: jax.Array
    params: Tree
    ema: Tree
    opt_state: Any
    rng: jax.Array


def schedule_of(settings: TrainConfig) -> Schedule:
    return make_schedule(
        peak_lr=settings.peak_lr,
        final_lr=settings.final_lr,
        warmup_steps=settings.warmup_steps,
        decay_steps=settings.decay_steps or settings.steps,
    )


def optimizer_of(settings: TrainConfig) -> optax.GradientTransformation:
    return make_optimizer(schedule_of(settings), clip_norm=settings.clip_norm, weight_decay=settings.weight_decay)


def init_state(params: Tree, settings: TrainConfig, rng: jax.Array, trainable: Tree | None = None) -> TrainState:
    """The state before the first step. The arrays are copied: the step donates its state."""
    params = jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), params)
    trained = select(params, trainable)
    ema = jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), trained) if settings.ema else {}
    return TrainState(jnp.zeros((), jnp.int32), params, ema, optimizer_of(settings).init(trained), jnp.copy(rng))


def weights_to_serve(state: TrainState, trainable: Tree | None = None) -> Tree:
    """The parameters that a policy uses: the EMA of the trained leaves if it is on, and the frozen ones."""
    return merge(state.ema, select(state.params, trainable, keep=False)) if state.ema else state.params


def make_loss(
    model_config: Any, settings: TrainConfig, model: FlowModel | None = None
) -> Callable[[Tree, Batch, jax.Array], jax.Array]:
    """loss(params, batch, key) -> scalar: augmentation, draws of noise and time, mean flow-matching loss.

    With `flow_samples` above 1 each observation meets that many draws and is encoded once.
    """
    model = model or flow_model()

    def loss(params: Tree, batch: Batch, key: jax.Array) -> jax.Array:
        augment_key = jax.random.split(key, 3)[0]  # openpi's split: preprocess, noise, time
        if settings.augment:
            images = augment(augment_key, batch["images"], settings.shift_px)
        else:
            images = {role: to_unit_range(image) for role, image in batch["images"].items()}
        draws = () if settings.flow_samples == 1 else (settings.flow_samples,)
        noise, flow_time = model.draw_noise_and_time(key, (*draws, *batch["actions"].shape))
        inputs = {name: batch[name] for name in model.observation._fields if name != "images"}
        observation = model.observation(images=images, **inputs)
        losses = model.compute_loss(
            params, model_config, observation, batch["actions"], noise=noise, flow_time=flow_time
        )
        return losses.mean()

    return loss


def make_train_step(
    model_config: Any,
    settings: TrainConfig,
    *,
    trainable: Tree | None = None,
    model: FlowModel | None = None,
) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
    """step(state, batch) -> (state, metrics), jitted; the state given is donated.

    An update whose loss or gradient is not finite is not applied: the state comes back as it was, step number
    included, and the caller sees it in metrics["finite"]. Metrics: loss, grad_norm (before clipping), param_norm
    (kernels after the update), lr, finite.
    """
    loss = make_loss(model_config, settings, model)
    optimizer, schedule = optimizer_of(settings), schedule_of(settings)

    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        trained, frozen = select(state.params, trainable), select(state.params, trainable, keep=False)
        key = jax.random.fold_in(state.rng, state.step)
        value, grads = jax.value_and_grad(lambda tree: loss(merge(tree, frozen), batch, key))(trained)
        grad_norm = optax.global_norm(grads)
        updates, opt_state = optimizer.update(grads, state.opt_state, trained)
        moved = optax.apply_updates(trained, updates)
        ema = (
            jax.tree.map(lambda old, new: settings.ema * old + (1 - settings.ema) * new, state.ema, moved)
            if state.ema
            else {}
        )
        finite = jnp.isfinite(value) & jnp.isfinite(grad_norm)
        params = merge(moved, frozen)
        after = TrainState(state.step + 1, params, ema, opt_state, state.rng)
        step, params, ema, opt_state = jax.tree.map(
            lambda new, old: jnp.where(finite, new, old), _moving(after), _moving(state)
        )
        metrics = {
            "loss": value,
            "grad_norm": grad_norm,
            "param_norm": kernel_norm(after.params),
            "lr": schedule(state.step),
            "finite": finite,
        }
        return TrainState(step, params, ema, opt_state, state.rng), metrics

    return jax.jit(train_step, donate_argnums=0)


def _moving(state: TrainState) -> tuple:
    return state.step, state.params, state.ema, state.opt_state


def first_bad_leaf(
    state: TrainState, batch: Batch, loss: Callable[[Tree, Batch, jax.Array], jax.Array], trainable: Tree | None = None
) -> str:
    """Where the first number that is not finite lies: batch, parameters, optimizer state, loss or gradient."""
    trained, frozen = select(state.params, trainable), select(state.params, trainable, keep=False)
    for name, tree in (("batch", batch), ("params", state.params), ("opt_state", state.opt_state)):
        found = _bad_path(tree)
        if found:
            return f"{name}/{found}"
    key = jax.random.fold_in(state.rng, state.step)
    _, grads = jax.jit(jax.value_and_grad(lambda tree: loss(merge(tree, frozen), batch, key)))(trained)
    found = _bad_path(grads)
    return f"gradient of {found}" if found else "the loss alone (its gradient is finite)"


def _bad_path(tree: Any) -> str:
    from pirig.training.optimizer import path_name

    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if jnp.issubdtype(leaf.dtype, jnp.floating) and not bool(jnp.isfinite(leaf).all()):
            return path_name(path)
    return ""
