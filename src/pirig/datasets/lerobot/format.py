"""What LeRobot's versions have in common: features, parquet schema, the columns of an episode, statistics.

Written from the public LeRobot sources (Apache-2.0, v0.4.4, lerobot/datasets). The `huggingface` metadata always says
`"Sequence"`, which old and new versions of the `datasets` package read (`"List"` only new ones).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from pirig.config.state_entries import state_numbers
from pirig.contract import Contract

TASK_KEY = "task_index"
STATE_KEY = "observation.state"
ACTION_KEY = "action"
LABEL_PREFIX = "labels."
LABEL_NAMES = {"_position_m": ("x_m", "y_m", "z_m"), "_quat_wxyz": ("w", "x", "y", "z")}
QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
_INDEX_FEATURES = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}
Stats = dict[str, dict[str, Any]]


def image_key(role: str) -> str:
    """The feature that holds the images of a camera."""
    return f"observation.images.{role}"


def label_key(name: str) -> str:
    """The feature that holds a label; LeRobot allows no slash in it."""
    return f"{LABEL_PREFIX}{name}"


def features(
    contract: Contract,
    labels: Mapping[str, int],
    films: Mapping[str, Mapping[str, Any]] | None = None,
    columns: Mapping[str, tuple[str, int]] | None = None,
) -> dict[str, dict[str, Any]]:
    """LeRobot's feature table of the contract and of labels (name -> width), as info.json has it.

    `films`: by role, what is said of a film, where pictures are kept as films. `columns`: what else there is, by name its type
    and its width, 0 of one number.
    """
    names = ["height", "width", "channels"]
    table: dict[str, dict[str, Any]] = {}
    for camera in contract.cameras:
        kept: dict[str, Any] = {"dtype": "image", "shape": [camera.height_px, camera.width_px, 3], "names": names}
        if films:
            kept |= {"dtype": "video", "info": films[camera.role]}
        table[image_key(camera.role)] = kept
    table[STATE_KEY] = _vector(contract.state_dim, _state_names(contract))
    table[ACTION_KEY] = _vector(contract.action_dim, contract.action_layout.split())
    table |= {label_key(name): _vector(width, _label_names(name, width)) for name, width in labels.items()}
    for key, (dtype, width) in (columns or {}).items():
        table[key] = {"dtype": dtype, "shape": [width or 1], "names": None}
    for key, dtype in _INDEX_FEATURES.items():
        table[key] = {"dtype": dtype, "shape": [1], "names": None}
    return table


def _vector(dim: int, names: list[str]) -> dict[str, Any]:
    return {"dtype": "float32", "shape": [dim], "names": names if len(names) == dim else None}


def _state_names(contract: Contract) -> list[str]:
    return [number.replace("[", "_").rstrip("]") for number in state_numbers(contract.state)]


def _label_names(name: str, width: int) -> list[str]:
    """What each number of a label is, with its unit."""
    for ending, names in LABEL_NAMES.items():
        if name.endswith(ending) and len(names) == width:
            return list(names)
    return [f"{name}_{number}" for number in range(width)]


IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def arrow_type(kind: pa.DataType, feature: Mapping[str, Any]) -> pa.DataType:
    """How a column of arrow type `kind` lies in the tables, as its feature says it: numbers side by side as a list of
    so many, of the feature's type."""
    if feature["dtype"] == "image":
        return IMAGE_TYPE
    if feature["dtype"] == "string":
        return pa.string()
    if len(feature["shape"]) > 1:
        return kind
    scalar = pa.from_numpy_dtype(np.dtype(feature["dtype"]))
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return pa.list_(scalar, feature["shape"][0]) if is_list else scalar


def hugging_face(kinds: Mapping[str, pa.DataType], features: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The `huggingface` metadata that readers take the feature types from."""
    described = {key: _described(kind, features[key]) for key, kind in kinds.items()}
    return {"huggingface": json.dumps({"info": {"features": described}})}


def _described(kind: pa.DataType, feature: Mapping[str, Any]) -> dict[str, Any]:
    if feature["dtype"] == "image":
        return {"_type": "Image"}
    if len(feature["shape"]) > 1:
        return {"shape": feature["shape"], "dtype": feature["dtype"], "_type": f"Array{len(feature['shape'])}D"}
    value = {"dtype": feature["dtype"], "_type": "Value"}
    if not pa.types.is_fixed_size_list(kind):
        return value
    return {"feature": value, "length": kind.list_size, "_type": "Sequence"}


def vectors(values: np.ndarray) -> pa.FixedSizeListArray:
    """f32 [T, D] -> T fixed-size lists."""
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


def images(pngs: list[bytes]) -> pa.StructArray:
    """PNG bytes -> the struct of an embedded image."""
    return pa.StructArray.from_arrays(
        [pa.array(pngs, pa.binary()), pa.nulls(len(pngs), pa.string())], fields=list(IMAGE_TYPE)
    )


def index_columns(
    length: int, *, episode_index: int, offset: int, fps: float, task_index: int
) -> dict[str, np.ndarray]:
    """The five columns that LeRobot adds to an episode of `length` frames that starts at row `offset`."""
    frame_index = np.arange(length, dtype=np.int64)
    return {
        "timestamp": (frame_index / fps).astype(np.float32),
        "frame_index": frame_index,
        "episode_index": np.full(length, episode_index, np.int64),
        "index": frame_index + offset,
        "task_index": np.full(length, task_index, np.int64),
    }


def number_stats(values: np.ndarray) -> dict[str, Any]:
    """Exact statistics over the rows of [T] or [T, D] numbers, as lists of D."""
    rows = values.reshape(len(values), -1).astype(np.float64)
    numbers = {
        "min": rows.min(0),
        "max": rows.max(0),
        "mean": rows.mean(0),
        "std": rows.std(0),
        **dict(zip(QUANTILES, np.quantile(rows, list(QUANTILES.values()), axis=0), strict=True)),
    }
    return {key: value.tolist() for key, value in numbers.items()} | {"count": [len(rows)]}


SAMPLED_FRAMES, PIXEL_STRIDE = 20, 4


def sampled(length: int) -> set[int]:
    """The frames of an episode that its pictures' statistics are made of."""
    return set(np.unique(np.linspace(0, length - 1, min(SAMPLED_FRAMES, length)).astype(int)).tolist())


def image_histogram(frames_u8: np.ndarray) -> tuple[int, np.ndarray]:
    """Of u8 [T, H, W, 3]: how many frames were sampled, and i64 [3, 256] counts of their values (every 4th pixel)."""
    chosen = sorted(sampled(len(frames_u8)))
    pixels = frames_u8[chosen, ::PIXEL_STRIDE, ::PIXEL_STRIDE].reshape(-1, 3)
    return len(chosen), np.stack([np.bincount(pixels[:, c], minlength=256) for c in range(3)])


def histogram_stats(frame_count: int, histogram: np.ndarray) -> dict[str, Any]:
    """Statistics of image values scaled to [0, 1] from i64 [3, 256] counts, shaped [3][1][1] as LeRobot wants them."""
    levels = np.arange(256) / 255.0
    total = histogram.sum(1)
    mean = histogram @ levels / total
    cumulative = np.cumsum(histogram, axis=1) / total[:, None]
    present = histogram > 0
    numbers = {
        "min": levels[present.argmax(1)],
        "max": levels[255 - present[:, ::-1].argmax(1)],
        "mean": mean,
        "std": np.sqrt(np.maximum(histogram @ levels**2 / total - mean**2, 0.0)),
        **{key: levels[(cumulative >= q).argmax(1)] for key, q in QUANTILES.items()},
    }
    return {key: value.reshape(3, 1, 1).tolist() for key, value in numbers.items()} | {"count": [frame_count]}
