"""Are these numbers a model's? Asked of every array of given weights while it is read, in one pass over its bits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pirig.models.bits import STACKED
from pirig.models.layout import leaf_specs
from pirig.models.sizes import ModelConfig
from pirig.weights.match import WeightsError

LARGEST = 1e6  # no weight of a model that works is near it; bytes in a wrong order or of a wrong type are
PIECE = 1 << 24  # numbers looked at together: a leaf of gigabytes is never there a second time
REMEDY = "fetch or copy the weights again; `pirig weights verify` with the folder names every such leaf"


def require_plausible(path: str, array: np.ndarray, source: Path, config: ModelConfig | None = None) -> None:
    """Raises WeightsError where a number is NaN or infinite or too large, or where all of a matrix (or one layer of a
    stack) is zero: so a checkpoint reads whose files lack a part. `config`: the model's, which says what starts at zero."""
    if array.dtype.name not in _UNSIGNED or not array.size:
        return
    stacked = bool(set(path.split("/")) & set(STACKED)) and array.ndim > 2
    largest = [_largest(part) for part in array] if stacked else [_largest(array)]
    if not np.isfinite(largest).all():
        raise WeightsError(f"{source}: numbers of {path} are NaN or infinite; {REMEDY}")
    if max(largest) > LARGEST:
        raise WeightsError(
            f"{source}: a number of {path} is {max(largest):.3g}, expected weights below {LARGEST:.0e}; {REMEDY}"
        )
    if config is None or array.ndim < 2 or path not in _never_zero(config) or min(largest):
        return
    where = f"layer {largest.index(0.0)} of {path}" if stacked else path
    raise WeightsError(f"{source}: {where} is zero throughout, as where a part of the files is missing; {REMEDY}")


_UNSIGNED: dict[str, Any] = {
    "float64": np.uint64,
    "float32": np.uint32,
    "float16": np.uint16,
    "bfloat16": np.uint16,
}


def _largest(array: np.ndarray) -> float:
    """The largest magnitude; NaN or infinite where one number is. Without a sign, floats are in the order of their bits."""
    whole = _UNSIGNED[array.dtype.name]
    unsigned = np.iinfo(whole).max >> 1
    bits = max(int((piece & whole(unsigned)).max()) for piece in _pieces(array.view(whole)))
    return float(np.array(bits, whole).view(array.dtype))


def _pieces(array: np.ndarray) -> Iterator[np.ndarray]:
    flat = array.reshape(-1)
    for start in range(0, len(flat), PIECE):
        yield flat[start : start + PIECE]


def _never_zero(config: ModelConfig) -> set[str]:
    return {path for path, leaf in leaf_specs(config).items() if leaf.init in ("normal", "lecun", "uniform")}
