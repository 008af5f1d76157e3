"""Small networks beside a frozen policy: one that acts in one step in its place, and one that moves its chunks a little."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from pirig.models.critic import HEAD_FILE, kept
from pirig.models.critic.layers import init_mlp, mlp
from pirig.models.critic.network import Scale, Seen, clipped, scaled
from pirig.models.leaves import Tree


@dataclass(frozen=True)
class Head:
    """`chunk`: steps and numbers of what it gives. `bound`: of what it adds to the chunk that it is shown, which it sees clipped;
    0: it is shown noise, and gives a chunk of its own."""

    params: Tree
    scale: Scale
    chunk: tuple[int, int]
    bound: float = 0.0

    def __call__(
        self, seen: Seen, shown: Float[jax.Array, "batch steps numbers"]
    ) -> Float[jax.Array, "batch h action_dim"]:
        flat = (clipped(shown) if self.bound else shown).reshape(len(shown), -1)
        given = mlp(self.params, jnp.concatenate([scaled(self.scale, seen), flat], axis=-1))
        given = given.reshape(len(shown), *self.chunk)
        return shown + self.bound * jnp.tanh(given) if self.bound else given

    def save(self, folder: Path) -> None:
        told = {"chunk": np.array(self.chunk), "bound": np.float32(self.bound)}
        kept.save(folder / HEAD_FILE, {"params": self.params, "scale": self.scale._asdict(), **told})


def init_head(
    key: jax.Array, scale: Scale, shown: tuple[int, int], chunk: tuple[int, int], widths: Sequence[int]
) -> Tree:
    """Parameters of one that adds nothing yet. `shown`: steps and numbers of the noise, or of the chunk."""
    return init_mlp(key, len(scale.mean) + shown[0] * shown[1], widths, chunk[0] * chunk[1])


def load(folder: Path) -> Head:
    """Raises ValueError where there is none."""
    tree = kept.load(folder / HEAD_FILE, "head")
    steps, numbers = (int(size) for size in tree["chunk"])
    return Head(tree["params"], Scale(**tree["scale"]), (steps, numbers), float(tree["bound"]))
