"""A loss of one's own: on which side of a plane each axis of a position lies, as a logistic regression."""

from dataclasses import dataclass

import jax.numpy as jnp

from pirig.models.leaves import draw, lecun


@dataclass(frozen=True)
class Sides:
    labels: tuple[str, ...]
    plane_m: float

    def init(self, key, features, labels):
        width = features.shape[-1]
        return {"kernel": draw(key, "kernel", lecun((width, labels[self.labels[0]].shape[1]), width))}

    def measure(self, head, features, labels):
        said = features.astype(jnp.float32).mean(axis=(0, 2)) @ head["kernel"]
        beyond = labels[self.labels[0]] > self.plane_m
        wrong = (said > 0) != beyond
        loss = jnp.logaddexp(0, jnp.where(beyond, -said, said)).mean(axis=1)
        return loss, {"wrong_share": wrong.mean(axis=1, dtype=jnp.float32)}


def make(name, config, widths):
    return Sides(tuple(config.labels), **config.settings)
