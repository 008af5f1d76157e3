"""Zero padding of the last axis, after normalisation."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def pad_last(x: Float[np.ndarray, "*lead n"], dim: int) -> Float[np.ndarray, "*lead {dim}"]:
    """Zeros behind, up to `dim` numbers. Raises ValueError where n > dim: nothing is cut off silently."""
    missing = dim - x.shape[-1]
    if missing < 0:
        raise ValueError(
            f"{x.shape[-1]} numbers do not fit into the model's {dim}; choose a size with a larger action_dim"
        )
    return np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, missing)]) if missing else x
