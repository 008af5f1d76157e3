"""How much each frame of a data set counts in the flow loss: a file beside the data set, made for exactly its actions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32

from pirig.files.atomic import replacing
from pirig.files.identity import digest_of_arrays

REMEDY = "make it again with `pirig improve`, or leave train.sample_weights out"


def save(file: Path, weights: Float32[np.ndarray, " frames"], actions: Float[np.ndarray, "frames numbers"]) -> None:
    """`actions`: the data set's, all frames."""
    with replacing(file) as opened:
        np.savez(opened, weights=weights, actions=np.array(_digest(actions)))


def load(file: Path, actions: Float[np.ndarray, "frames numbers"]) -> Float32[np.ndarray, " frames"]:
    """Raises ValueError where the file is not there, is another, or was made for other frames."""
    try:
        with np.load(file) as arrays:
            weights, made_for = arrays["weights"], str(arrays["actions"])
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"train.sample_weights={file}: no weights there ({error}); {REMEDY}") from error
    if made_for != _digest(actions):
        raise ValueError(
            f"train.sample_weights={file}: {len(weights)} weights of other frames than the {len(actions)} of this data set "
            f"(actions {made_for} then, {_digest(actions)} now); {REMEDY}"
        )
    if not np.isfinite(weights).all() or weights.min(initial=0.0) < 0:
        raise ValueError(f"train.sample_weights={file}: a weight is not finite or below 0; {REMEDY}")
    return weights.astype(np.float32)


def _digest(actions: np.ndarray) -> str:
    return digest_of_arrays({"actions": np.asarray(actions, np.float32)})
