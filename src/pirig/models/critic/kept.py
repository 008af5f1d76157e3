"""A tree of arrays in one file."""

from __future__ import annotations

from pathlib import Path

import jax.numpy as jnp
import numpy as np

from pirig.files.atomic import replacing
from pirig.models.leaves import Tree, flatten, nest


def save(file: Path, tree: Tree) -> None:
    with replacing(file) as opened:
        np.savez(opened, **{name: np.asarray(leaf) for name, leaf in flatten(tree).items()})


def load(file: Path, what: str) -> Tree:
    """Raises ValueError where the file is not there; `what` it would be."""
    if not file.is_file():
        raise ValueError(
            f"{file.parent}: no {what} there (no {file.name}); expected the folder in which one has learned"
        )
    with np.load(file) as arrays:
        return nest({name: jnp.asarray(arrays[name]) for name in arrays.files})
