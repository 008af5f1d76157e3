"""Where things are, read off the tower's tokens: labels in metres, each by one linear map of all tokens of all cameras.

All positions have one scale, in metres. The spread of the data is none: a height that hardly varies at rest would become a
label of a hundred when an object is lifted, and swamp every other loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from pirig.config.schema import LossConfig
from pirig.models.leaves import Tree, draw, lecun

METRES = "_m"  # how the name of a label in metres ends
SCALE_M = 0.1  # an error of so much counts 1


@dataclass(frozen=True)
class LabelLoss:
    """Mean over labels and axes of ((predicted - true) / scale_m)^2."""

    labels: tuple[str, ...]
    scale_m: float = SCALE_M

    def init(self, key: jax.Array, features: jax.ShapeDtypeStruct, labels: Mapping[str, np.ndarray]) -> Tree:
        """A head starts at the labels' mean."""
        cameras, _, tokens, width = features.shape
        size = cameras * tokens * width
        return {
            name: {
                "kernel": draw(key, name, lecun((size, labels[name].shape[1]), size)),
                "bias": jnp.asarray(labels[name].mean(axis=0, dtype=np.float64) / self.scale_m, jnp.float32),
            }
            for name in self.labels
        }

    def measure(
        self, head: Tree, features: Float[jax.Array, "cameras batch tokens width"], labels: Mapping[str, jax.Array]
    ) -> tuple[Float[jax.Array, " batch"], dict[str, jax.Array]]:
        """A label that is NaN is not known in that sample: it adds nothing to the loss, and its number is NaN."""
        tokens = features.astype(jnp.float32).swapaxes(0, 1).reshape(features.shape[1], -1)
        true = jnp.concatenate([labels[name] for name in self.labels], axis=1) / self.scale_m
        known = jnp.isfinite(true)
        kernel = jnp.concatenate([head[name]["kernel"] for name in self.labels], axis=1)
        bias = jnp.concatenate([head[name]["bias"] for name in self.labels])
        wrong = tokens @ kernel + bias - jnp.where(known, true, 0.0)
        loss = jnp.where(known, jnp.square(wrong), 0.0).sum(axis=1) / jnp.maximum(known.sum(axis=1), 1)
        ends = np.cumsum([labels[name].shape[1] for name in self.labels])
        parts = jnp.split(jnp.where(known, wrong, jnp.nan), ends[:-1], axis=1)
        apart_mm = {
            f"{name.removesuffix(METRES)}_mm": jnp.linalg.norm(rows, axis=1) * self.scale_m * 1e3
            for name, rows in zip(self.labels, parts, strict=True)
        }
        return loss, apart_mm


def make(name: str, config: LossConfig, widths: Mapping[str, int]) -> LabelLoss:
    """`config.labels` name columns in metres; none named: all of the data set's. `settings.scale_m` changes the scale."""
    chosen = tuple(config.labels) or tuple(sorted(label for label in widths if label.endswith(METRES)))
    odd = [label for label in chosen if not label.endswith(METRES)]
    if odd or not chosen:
        what = f"{odd[0]} is none" if odd else f"the data set has {', '.join(widths) or 'no labels at all'}"
        raise ValueError(
            f"losses.{name} learns positions, labels whose names end in {METRES}, and {what}; name others in "
            f"losses.{name}.labels, or leave the loss out"
        )
    unknown = sorted(set(config.settings) - {"scale_m"})
    if unknown:
        raise ValueError(
            f"losses.{name}.settings.{unknown[0]}: kind={config.kind} has no such setting; it takes scale_m"
        )
    loss = LabelLoss(chosen, **config.settings)
    if not loss.scale_m > 0:
        raise ValueError(
            f"losses.{name}.settings.scale_m is {loss.scale_m}; expected metres above 0, such as {SCALE_M}"
        )
    return loss
