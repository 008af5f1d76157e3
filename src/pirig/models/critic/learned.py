"""A critic that has learned: what it is asked, and its file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Float32

from pirig.models.critic import CRITIC_FILE, kept
from pirig.models.critic.network import Scale, Seen, clipped, values
from pirig.models.leaves import Tree

ROWS_A_CALL = 1024


@dataclass(frozen=True)
class Critic:
    """`chunk`: steps and numbers of the executed chunk that it judges."""

    params: Tree
    scale: Scale
    chunk: tuple[int, int]

    def lower(
        self, seen: Seen, chunks: Float[jax.Array, "batch candidates h action_dim"]
    ) -> Float[jax.Array, "batch candidates"]:
        """The smaller of both members' values, of the clipped chunks; for a function that is compiled."""
        return values(self.params, self.scale, seen, clipped(chunks)).min(axis=0)

    @cached_property
    def _lower(self) -> Any:
        return jax.jit(lambda seen, chunks: self.lower(seen, chunks))

    def of_rows(
        self, seen: Seen, chunks: Float32[np.ndarray, "rows candidates h action_dim"]
    ) -> Float32[np.ndarray, "rows candidates"]:
        """As `lower`, of any number of rows, a part at a time."""
        parts = [slice(start, start + ROWS_A_CALL) for start in range(0, len(chunks), ROWS_A_CALL)]
        judged = [self._lower(Seen(*(part[rows] for part in seen)), chunks[rows]) for rows in parts]
        return np.concatenate([np.asarray(part) for part in judged])

    def save(self, folder: Path) -> None:
        told = {"chunk": np.array(self.chunk)}
        kept.save(folder / CRITIC_FILE, {"params": self.params, "scale": self.scale._asdict(), **told})


def load(folder: Path) -> Critic:
    """Raises ValueError where there is none."""
    tree = kept.load(folder / CRITIC_FILE, "critic")
    steps, numbers = (int(size) for size in tree["chunk"])
    return Critic(tree["params"], Scale(**tree["scale"]), (steps, numbers))
