"""What a training minimises: the flow loss, and auxiliary ones by name that look at the vision tower's tokens.

`losses.NAME.kind=KIND` in the config names KIND.py in `training/auxiliary/`, which holds `make(name, config, widths)`. An
auxiliary loss has a head of its own, which is kept in the training state and in train_state/ of a checkpoint: a policy has
neither the head nor the labels.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from pirig.config.names import standing
from pirig.config.schema import LossConfig
from pirig.models.flow import FlowModel, ModelInputs
from pirig.models.leaves import Tree
from pirig.training import auxiliary as kinds_of_losses

Numbers = dict[str, jax.Array]
# images {role: [S, H, W, 3]} of cameras that stand still, labels {name: f32 [S, k], NaN where not known}
Scenes = Mapping[str, Any]


class Auxiliary(Protocol):
    """`labels`: names of the data set's columns that it needs in a batch."""

    labels: tuple[str, ...]

    def init(self, key: jax.Array, features: jax.ShapeDtypeStruct, labels: Mapping[str, np.ndarray]) -> Tree:
        """Its head's parameters, float32; `features` [C, B, T, D] of the cameras that stand still (`config.names.standing`),
        `labels` f32 [N, k] of every frame that trains."""
        ...

    def measure(
        self, head: Tree, features: Float[jax.Array, "cameras batch tokens width"], labels: Mapping[str, jax.Array]
    ) -> tuple[Float[jax.Array, " batch"], Numbers]:
        """Features (zeros where a camera is absent), labels f32 [B, k] -> loss, and numbers [B] in physical units by
        name, with the unit in it."""
        ...


@dataclass(frozen=True)
class Weighted:
    loss: Auxiliary
    weight: float


@dataclass(frozen=True)
class Losses:
    """total = flow + sum of weight x auxiliary loss, of the batch and, where there are any, of the labelled scenes beside it."""

    flow: FlowModel
    auxiliary: Mapping[str, Weighted] = field(default_factory=dict)
    on_scenes: bool = False  # a batch brings labelled scenes, which the auxiliary losses look at too

    @property
    def labels(self) -> list[str]:
        """Names of the label columns that a batch must hold."""
        return sorted({label for entry in self.auxiliary.values() for label in entry.loss.labels})

    @property
    def names(self) -> list[str]:
        """Of the step's metrics beside "loss", which is the flow loss: [] where nothing is added to it."""
        kinds = ("loss", "scenes_loss") if self.on_scenes else ("loss",)
        parts = (f"{name}_{kind}" for name in self.auxiliary for kind in kinds)
        return ["total_loss", *parts] if self.auxiliary else []

    def init_heads(
        self, key: jax.Array, params: Tree, config: Any, inputs: ModelInputs, labels: Mapping[str, np.ndarray]
    ) -> Tree:
        """Fresh heads by the losses' names. `inputs`: any batch; `labels` f32 [N, k] of every frame that trains."""
        if not self.auxiliary:
            return {}
        features = jax.eval_shape(lambda tree, seen: _seen(self._features(tree, config, seen), seen), params, inputs)
        return {
            name: entry.loss.init(jax.random.fold_in(key, number), features, _only(labels, entry.loss))
            for number, (name, entry) in enumerate(sorted(self.auxiliary.items()))
        }

    def total(
        self,
        params: Tree,
        heads: Tree,
        config: Any,
        inputs: ModelInputs,
        actions: Float[jax.Array, "batch action_horizon action_dim"],
        labels: Mapping[str, jax.Array],
        *,
        noise: Float[jax.Array, "*draws batch action_horizon action_dim"],
        flow_time: Float[jax.Array, "*draws batch"],
        weights: Float[jax.Array, " batch"] | None = None,
        scenes: Scenes | None = None,
    ) -> tuple[Float[jax.Array, ""], Numbers]:
        """(what is minimised, "loss" and the parts that `names` lists), means over the batch. `weights`: how much each sample
        counts in the flow loss; the auxiliary ones, which say where things are, count alike. `scenes`: where `on_scenes` is set.

        The images are encoded once for all losses, however many draws of noise there are.
        """
        draws: dict[str, Any] = {"noise": noise, "flow_time": flow_time}
        if not self.auxiliary:
            flow = self.flow.compute_loss(params, config, inputs, actions, **draws)
            flow = _mean(flow, weights)
            return flow, {"loss": flow}
        features = self._features(params, config, inputs)
        flow = self.flow.compute_loss(params, config, inputs, actions, **draws, features=features)
        flow = _mean(flow, weights)
        added, parts, seen, of_scenes = jnp.zeros(()), Numbers(), _seen(features, inputs), None
        if scenes is not None:
            of_scenes = self._features(params, config, inputs._replace(images=scenes["images"]))
        for name, entry in self.auxiliary.items():
            own = {f"{name}_loss": entry.loss.measure(heads[name], seen, _only(labels, entry.loss))[0].mean()}
            if scenes is not None and of_scenes is not None:
                known = _only(scenes["labels"], entry.loss)
                own[f"{name}_scenes_loss"] = entry.loss.measure(heads[name], of_scenes, known)[0].mean()
            added, parts = added + entry.weight * sum(own.values()), parts | own
        return flow + added, {"loss": flow, "total_loss": flow + added, **parts}

    def measure(
        self, params: Tree, heads: Tree, config: Any, inputs: ModelInputs, labels: Mapping[str, jax.Array]
    ) -> Numbers:
        """Per sample [B], for validation: `<name>_loss` and `<name>_<number>` of every auxiliary loss."""
        if not self.auxiliary:
            return {}
        features = _seen(self._features(params, config, inputs), inputs)
        measured: Numbers = {}
        for name, entry in self.auxiliary.items():
            loss, numbers = entry.loss.measure(heads[name], features, _only(labels, entry.loss))
            measured |= {f"{name}_loss": loss, **{f"{name}_{number}": rows for number, rows in numbers.items()}}
        return measured

    def _features(self, params: Tree, config: Any, inputs: ModelInputs) -> jax.Array:
        features = None if self.flow.encode_images is None else self.flow.encode_images(params, config, inputs)
        if features is None:
            raise ValueError(
                f"losses.{min(self.auxiliary)} looks at the tower's tokens, and this model sees no camera; leave it out"
            )
        return features


def auxiliary_losses(configs: Mapping[str, LossConfig], labels: Mapping[str, np.ndarray]) -> dict[str, Weighted]:
    """The losses of a config for a data set with these label columns (f32 [N, k]).

    Raises ValueError where a kind is unknown, a weight is no positive number or a column is not there.
    """
    widths = {name: rows.shape[1] for name, rows in labels.items()}
    return {name: _made(name, config, widths) for name, config in configs.items()}


def require_kind(name: str, config: LossConfig) -> None:
    """Raises ValueError where there is no such kind, or the weight is no positive number."""
    if not config.weight > 0:
        raise ValueError(f"losses.{name}.weight is {config.weight}; expected a positive number, or leave the loss out")
    kinds = sorted(module.name for module in pkgutil.iter_modules(kinds_of_losses.__path__))
    if config.kind not in kinds:
        raise ValueError(
            f"losses.{name}.kind={config.kind}: expected one of {', '.join(kinds)}; a new one is "
            f"training/auxiliary/{config.kind}.py"
        )


def _made(name: str, config: LossConfig, widths: Mapping[str, int]) -> Weighted:
    require_kind(name, config)
    unknown = sorted(set(config.labels) - set(widths))
    if unknown:
        raise ValueError(
            f"losses.{name}: the data set has no column labels.{unknown[0]}; it has {', '.join(widths) or 'no labels'}. "
            "Make it again with labels, or leave this one out of "
            f"losses.{name}.labels"
        )
    return Weighted(
        importlib.import_module(f"{kinds_of_losses.__name__}.{config.kind}").make(name, config, widths), config.weight
    )


def _mean(loss: jax.Array, weights: jax.Array | None) -> jax.Array:
    """Of [*draws, B, A] with a weight per sample."""
    return loss.mean() if weights is None else (loss.mean(axis=-1) * weights).mean()


def _only(labels: Mapping[str, Any], loss: Auxiliary) -> dict[str, Any]:
    return {name: labels[name] for name in loss.labels}


def _seen(features: jax.Array, inputs: ModelInputs) -> jax.Array:
    """Features of the cameras that stand still, with zeros where one is absent."""
    roles = sorted(inputs.images)
    still = standing(roles)
    if still != roles:
        features = features[np.array([roles.index(role) for role in still])]
    masks = jnp.stack([jnp.asarray(inputs.image_masks[role], bool) for role in still])
    return jnp.where(masks[:, :, None, None], features, 0)
