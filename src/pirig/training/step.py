"""One training step as one compiled, donated function: augmentation, loss, clip, AdamW, EMA, metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pirig.config.schema import TrainConfig
from pirig.models.bits import as_bits
from pirig.models.flow import FlowModel, ModelInputs
from pirig.models.kinds import flow_model
from pirig.training.augment import augment
from pirig.training.losses import Losses, Scenes
from pirig.training.optimizer import Tree, kernel_norm, make_optimizer, merge, select
from pirig.training.schedules import Schedule
from pirig.training.sharding import Placement
from pirig.transforms.images import unit_range

Batch = dict[
    str, Any
]  # images {role: u8 [B,H,W,3]}, image_masks {role: bool [B]}, state, tokens, token_mask, actions[, labels, weights, scenes]
Metrics = dict[str, jax.Array]
HEADS = "heads"  # where the heads stand among what the optimizer sees


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrainState:
    """Everything that training changes. `ema` and `opt_state` cover the trained leaves only; `ema` is {} when off.

    `step` counts the updates made, `rng` is the run's key: step i uses fold_in(rng, i). `heads` are those of the auxiliary
    losses, by their names, and `heads_ema` as `ema`: no policy has them.
    """

    step: jax.Array
    params: Tree
    ema: Tree
    opt_state: Any
    rng: jax.Array
    heads: Tree = field(default_factory=dict)
    heads_ema: Tree = field(default_factory=dict)


def optimizer_of(settings: TrainConfig, schedule: Schedule) -> optax.GradientTransformation:
    return make_optimizer(schedule, clip_norm=settings.clip_norm, weight_decay=settings.weight_decay)


def init_state(
    params: Tree,
    settings: TrainConfig,
    rng: jax.Array,
    trainable: Tree | None = None,
    placement: Placement | None = None,
    heads: Tree | None = None,
) -> TrainState:
    """The state before the first step. Arrays of JAX become the state's own (its steps donate them), others are copied."""
    heads = heads or {}
    if placement is None:
        params, heads = jax.tree.map(_own, (params, heads))
        return _first_state(params, heads, settings, jnp.copy(rng), trainable)
    kind, key = jax.random.key_impl(rng), np.asarray(jax.random.key_data(rng))

    def build(params: Tree, heads: Tree, key: jax.Array) -> TrainState:
        return _first_state(params, heads, settings, jax.random.wrap_key_data(key, impl=kind), trainable)

    like = jax.eval_shape(build, params, heads, key)
    return jax.jit(build, out_shardings=placement.tree(like), donate_argnums=0)(
        placement.put(params), jax.device_put(heads, placement.copied), key
    )


def _own(leaf: Any) -> jax.Array:
    return leaf if isinstance(leaf, jax.Array) else jnp.array(leaf, copy=True)


def _first_state(
    params: Tree, heads: Tree, settings: TrainConfig, rng: jax.Array, trainable: Tree | None
) -> TrainState:
    trained = select(params, trainable)
    ema, heads_ema = (
        jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), (trained, heads)) if settings.ema else ({}, {})
    )
    opt_state = optimizer_of(settings, jnp.zeros_like).init(_with_heads(trained, heads))  # the same for every schedule
    return TrainState(jnp.zeros((), jnp.int32), params, ema, opt_state, rng, heads, heads_ema)


def _with_heads(trained: Tree, heads: Tree) -> Tree:
    """What the optimizer sees, and its gradient: a run without heads has none in its optimizer's state either."""
    return {**trained, HEADS: heads} if heads else trained


def _without_heads(tree: Tree) -> tuple[Tree, Tree]:
    return {name: part for name, part in tree.items() if name != HEADS}, tree.get(HEADS, {})


def heads_to_measure(state: TrainState) -> Tree:
    """The heads that belong to `weights_to_serve`."""
    return state.heads_ema or state.heads


def weights_to_serve(state: TrainState, trainable: Tree | None = None) -> Tree:
    """The parameters that a policy uses: the EMA of the trained leaves if it is on, and the frozen ones."""
    return merge(state.ema, select(state.params, trainable, keep=False)) if state.ema else state.params


def inputs_of(batch: Batch, images: dict[str, jax.Array]) -> ModelInputs:
    """A batch's part that the model is fed, with these images in place of its own."""
    return ModelInputs(images, *(batch[name] for name in ModelInputs._fields if name != "images"))


def make_inputs(
    settings: TrainConfig, model: FlowModel
) -> Callable[[Batch, jax.Array], tuple[ModelInputs, jax.Array, jax.Array, jax.Array]]:
    """inputs(batch, key) -> (model inputs, actions, noise, flow time): augmentation and the draws of one step."""

    def inputs(batch: Batch, key: jax.Array) -> tuple[ModelInputs, jax.Array, jax.Array, jax.Array]:
        augment_key = jax.random.split(key, 3)[0]  # openpi's split: preprocess, noise, time
        if settings.augment:
            images = augment(augment_key, batch["images"], settings.shift_px)
        else:
            images = {role: unit_range(image) for role, image in batch["images"].items()}
        draws = () if settings.flow_samples == 1 else (settings.flow_samples,)
        noise, flow_time = model.draw_noise_and_time(key, (*draws, *batch["actions"].shape))
        return inputs_of(batch, images), batch["actions"], noise, flow_time

    return inputs


def scenes_of(settings: TrainConfig, batch: Batch, key: jax.Array) -> Scenes | None:
    """The labelled scenes beside a batch as the tower sees them: colours augmented, not shifted, or the labels would be wrong."""
    scenes = batch.get("scenes")
    if scenes is None:
        return None
    if not settings.augment:
        return {**scenes, "images": {role: unit_range(image) for role, image in scenes["images"].items()}}
    # a draw of its own: those before it are the batch's cameras'
    after_cameras = jax.random.fold_in(jax.random.split(key, 3)[0], len(batch["images"]))
    return {**scenes, "images": augment(after_cameras, scenes["images"], 0)}


Parts = dict[str, jax.Array]
Loss = Callable[[Tree, Tree, Batch, jax.Array], tuple[jax.Array, Parts]]


def make_loss(model_config: Any, settings: TrainConfig, losses: Losses | None = None) -> Loss:
    """loss(params, heads, batch, key) -> (total, parts): augmentation, draws of noise and time, means over the batch.

    With `flow_samples` above 1 each sample meets that many draws and is encoded once. `losses` None: the flow loss alone.
    """
    losses = losses or Losses(flow_model())
    inputs = make_inputs(settings, losses.flow)

    def loss(params: Tree, heads: Tree, batch: Batch, key: jax.Array) -> tuple[jax.Array, Parts]:
        seen, actions, noise, flow_time = inputs(batch, key)
        draws: dict[str, Any] = {"noise": noise, "flow_time": flow_time, "weights": batch.get("weights")}
        labels, scenes = batch.get("labels", {}), scenes_of(settings, batch, key)
        return losses.total(params, heads, model_config, seen, actions, labels, **draws, scenes=scenes)

    return loss


LossAndGradient = Callable[[Tree, Tree, Batch, jax.Array], tuple[Parts, Tree]]


def make_gradient(model_config: Any, settings: TrainConfig, losses: Losses | None = None) -> LossAndGradient:
    """gradient(trained, frozen, batch, key) -> (parts of the loss, gradient); `trained` and it hold the heads too.

    With settings.accumulate above 1 the batch goes through in so many parts, one after the other: part i is rows i,
    i + N, ... (so every device works on each part), with the augmentation and draws of the whole batch. The result is
    the large batch's but for the order of summation. The augmented images of the whole batch are held as float32.
    """
    losses = losses or Losses(flow_model())
    if settings.accumulate == 1:
        loss = make_loss(model_config, settings, losses)

        def whole(trained: Tree, frozen: Tree, batch: Batch, key: jax.Array) -> tuple[Parts, Tree]:
            def of(tree: Tree) -> tuple[jax.Array, Parts]:
                own, heads = _without_heads(tree)
                return loss(merge(own, frozen), heads, batch, key)

            (_, parts), gradient = jax.value_and_grad(of, has_aux=True)(trained)
            return parts, gradient

        return whole
    inputs, parts = make_inputs(settings, losses.flow), settings.accumulate

    def gradient(trained: Tree, frozen: Tree, batch: Batch, key: jax.Array) -> tuple[Parts, Tree]:
        seen, actions, noise, flow_time = inputs(batch, key)
        draws_axis = noise.ndim - 3  # the batch axis: after that of several draws
        whole = (seen, actions, batch.get("labels", {}), batch.get("weights"), scenes_of(settings, batch, key))
        per_row = jax.tree.map(lambda x: _in_parts(x, parts, 0), whole)
        per_draw = jax.tree.map(lambda x: _in_parts(x, parts, draws_axis), (noise, flow_time))

        def part_loss(tree: Tree, part: Any) -> tuple[jax.Array, Parts]:
            (seen, chunk, labels, weights, scenes), (noisy, time) = part
            own, heads = _without_heads(tree)
            draws = {"noise": noisy, "flow_time": time, "weights": weights, "scenes": scenes}
            return losses.total(merge(own, frozen), heads, model_config, seen, chunk, labels, **draws)

        def add(sums: tuple[Parts, Tree], part: Any) -> tuple[tuple[Parts, Tree], None]:
            (_, part_losses), gradient = jax.value_and_grad(part_loss, has_aux=True)(trained, part)
            return jax.tree.map(jnp.add, sums, (part_losses, gradient)), None

        names = ["loss", *losses.names]
        zeros = ({name: jnp.zeros(()) for name in names}, jax.tree.map(jnp.zeros_like, trained))
        sums, _ = jax.lax.scan(add, zeros, (per_row, per_draw))
        return jax.tree.map(lambda total: total / parts, sums)

    return gradient


def _in_parts(x: jax.Array, parts: int, axis: int) -> jax.Array:
    """[..., B, ...] -> [parts, ..., B / parts, ...]; part i holds rows i, i + parts, ..."""
    split = x.reshape(*x.shape[:axis], x.shape[axis] // parts, parts, *x.shape[axis + 1 :])
    return jnp.moveaxis(split, axis + 1, 0)


@dataclass(frozen=True)
class TrainStep:
    """step(state, batch) -> (state, metrics), one compiled program.

    What trains is donated. Frozen leaves are only read: they are neither copied nor given back, and stay where they lie.
    """

    program: Any  # (what moves, frozen leaves, batch) -> (what moves, metrics)
    trainable: Tree | None

    def __call__(self, state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        moving, metrics = self.program(*self._split(state), batch)
        frozen = select(state.params, self.trainable, keep=False)
        return replace(moving, params=merge(moving.params, frozen)), metrics

    def compiled(self, state: TrainState, batch: Batch) -> TrainStep:
        """The same for these shapes only, before it runs; arrays or jax.ShapeDtypeStructs."""
        return replace(self, program=self.program.lower(*self._split(state), batch).compile())

    def _split(self, state: TrainState) -> tuple[TrainState, Tree]:
        frozen = select(state.params, self.trainable, keep=False)
        return replace(state, params=select(state.params, self.trainable)), as_bits(frozen)


def make_train_step(
    model_config: Any,
    settings: TrainConfig,
    schedule: Schedule,
    *,
    trainable: Tree | None = None,
    losses: Losses | None = None,
    shardings: tuple[TrainState, Any] | None = None,
) -> TrainStep:
    """step(state, batch) -> (state, metrics), jitted; what trains of the state given is donated.

    An update whose loss or gradient is not finite is not applied: the state comes back as it was, step number
    included, and the caller sees it in metrics["finite"]. Metrics: loss (the flow's), total_loss and <name>_loss where
    there are auxiliary losses, grad_norm (before clipping), param_norm (kernels after the update), lr, finite.
    `shardings`: those of the state, and the one of the metrics.
    """
    gradient = make_gradient(model_config, settings, losses)
    optimizer = optimizer_of(settings, schedule)

    def averaged(old: Tree, new: Tree) -> Tree:
        return jax.tree.map(lambda old, new: settings.ema * old + (1 - settings.ema) * new, old, new) if old else {}

    def train_step(state: TrainState, frozen: Tree, batch: Batch) -> tuple[TrainState, Metrics]:
        optimised = _with_heads(state.params, state.heads)
        key = jax.random.fold_in(state.rng, state.step)
        parts, grads = gradient(optimised, frozen, batch, key)
        grad_norm = optax.global_norm(grads)
        updates, opt_state = optimizer.update(grads, state.opt_state, optimised)
        moved, heads = _without_heads(optax.apply_updates(optimised, updates))
        ema, heads_ema = averaged(state.ema, moved), averaged(state.heads_ema, heads)
        finite = jnp.isfinite(parts.get("total_loss", parts["loss"])) & jnp.isfinite(grad_norm)
        after = TrainState(state.step + 1, moved, ema, opt_state, state.rng, heads, heads_ema)
        step, params, ema, opt_state, heads, heads_ema = jax.tree.map(
            lambda new, old: jnp.where(finite, new, old), _moving(after), _moving(state)
        )
        metrics = {
            **parts,
            "grad_norm": grad_norm,
            "param_norm": kernel_norm(merge(moved, frozen)),
            "lr": schedule(state.step),
            "finite": finite,
        }
        return TrainState(step, params, ema, opt_state, state.rng, heads, heads_ema), metrics

    if shardings is None:
        return TrainStep(jax.jit(train_step, donate_argnums=0), trainable)
    of_state, of_metrics = shardings
    moving = replace(of_state, params=select(of_state.params, trainable))
    return TrainStep(jax.jit(train_step, donate_argnums=0, out_shardings=(moving, of_metrics)), trainable)


def _moving(state: TrainState) -> tuple:
    return state.step, state.params, state.ema, state.opt_state, state.heads, state.heads_ema


def first_bad_leaf(state: TrainState, batch: Batch, loss: Loss, trainable: Tree | None = None) -> str:
    """Where the first number that is not finite lies: batch, parameters, heads, optimizer state, loss or gradient."""
    trained, frozen = select(state.params, trainable), select(state.params, trainable, keep=False)
    told = {
        name: part for name, part in batch.items() if name not in ("labels", "scenes")
    }  # a label may be NaN: not known
    trees = (("batch", told), ("params", state.params), (HEADS, state.heads), ("opt_state", state.opt_state))
    for name, tree in trees:
        path = _bad_path(tree)
        if path:
            return f"{name}/{path}"
    key = jax.random.fold_in(state.rng, state.step)

    def total(tree: Tree, batch: Batch) -> jax.Array:
        own, heads = _without_heads(tree)
        return loss(merge(own, frozen), heads, batch, key)[0]

    path = _bad_path(jax.jit(jax.grad(total))(_with_heads(trained, state.heads), batch))
    return f"gradient of {path}" if path else "the loss alone (its gradient is finite)"


def _bad_path(tree: Any) -> str:
    from pirig.training.optimizer import path_name

    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if jnp.issubdtype(leaf.dtype, jnp.floating) and not bool(jnp.isfinite(leaf).all()):
            return path_name(path)
    return ""
