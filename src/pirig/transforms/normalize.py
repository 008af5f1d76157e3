"""Normalisation of state and actions with openpi's formulas and openpi's norm_stats.json.

z-score: (x - mean) / (std + 1e-6). Quantile: (x - q01) / (q99 - q01 + 1e-6) * 2 - 1, never clipped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from pirig.config.places import ASSETS
from pirig.files.atomic import write_text

EPSILON = 1e-6
KINDS = ("zscore", "quantile")


@dataclass(frozen=True)
class NormStats:
    """Statistics of unpadded numbers, f64 [dim] each, or each row's own (`by_row`); quantiles are None where the file has
    none."""

    mean: np.ndarray
    std: np.ndarray
    q01: np.ndarray | None = None
    q99: np.ndarray | None = None


def normalize(x: Float[np.ndarray, "*lead n"], stats: NormStats, kind: str) -> Float[np.ndarray, "*lead n"]:
    """Raw numbers -> the model's, f64. With n below the stats' dim the first n statistics are used (openpi's rule).

    Raises ValueError where n is larger than the stats' dim.
    """
    offset, span = _offset_and_span(stats, kind)
    dim, known = x.shape[-1], offset.shape[-1]
    if dim > known:
        raise ValueError(f"{dim} numbers to normalise but statistics of {known}; normalise before padding")
    shifted = (x - offset[..., :dim]) / span[..., :dim]
    return shifted * 2.0 - 1.0 if kind == "quantile" else shifted


def unnormalize(x: Float[np.ndarray, "*lead n"], stats: NormStats, kind: str) -> Float[np.ndarray, "*lead n"]:
    """The inverse; numbers beyond the stats' dim pass (z-score: times 1 + 1e-6, as in openpi)."""
    offset, span = _offset_and_span(stats, kind)
    dim = min(x.shape[-1], offset.shape[-1])
    head, tail = x[..., :dim], x[..., dim:]
    if kind == "quantile":
        head = (head + 1.0) / 2.0
    else:
        tail = tail * (1.0 + EPSILON)
    return np.concatenate([head * span[..., :dim] + offset[..., :dim], tail], axis=-1)


def by_row(stats: Mapping[str, NormStats], names: Sequence[str], dimensions: int) -> NormStats:
    """For an array of so many `dimensions` [B, ..., n]: in row i the statistics called names[i], each array [B, 1, ..., n]."""

    def stacked(kind: str) -> np.ndarray | None:
        rows = [getattr(stats[name], kind) for name in names]
        if any(row is None for row in rows):
            return None
        return np.stack(rows).reshape(len(rows), *[1] * (dimensions - 2), -1)

    mean, std = stacked("mean"), stacked("std")
    assert mean is not None and std is not None
    return NormStats(mean, std, stacked("q01"), stacked("q99"))


def _offset_and_span(stats: NormStats, kind: str) -> tuple[np.ndarray, np.ndarray]:
    if kind == "zscore":
        return stats.mean, stats.std + EPSILON
    if kind != "quantile":
        raise ValueError(f"normalization {kind!r} is unknown; known are {', '.join(KINDS)}")
    if stats.q01 is None or stats.q99 is None:
        raise ValueError("quantile normalisation needs q01 and q99, which these statistics lack; run `pirig stats`")
    return stats.q01, stats.q99 - stats.q01 + EPSILON


def load_norm_stats(file: Path) -> dict[str, NormStats]:
    """Reads openpi's norm_stats.json; absent or null quantiles are accepted. Raises ValueError on any other file."""
    if not file.is_file():
        raise ValueError(
            f"{file}: no statistics there; {_remedy(file, 'run `pirig stats` with the same settings first')}"
        )
    try:
        raw = json.loads(file.read_text())["norm_stats"]
        return {name: _read(entry) for name, entry in raw.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f'{file}: expected {{"norm_stats": {{"state": {{mean, std, q01, q99}}, ...}}}} ({error}); '
            + _remedy(file, "remove it and run `pirig stats`")
        ) from error


def _remedy(file: Path, of_a_data_set: str) -> str:
    """Statistics of a checkpoint are what it was trained with: none that are computed now would be."""
    assets = Path(ASSETS).parts
    in_checkpoint = file.absolute().parent.parts[-len(assets) :] == assets
    return "copy the checkpoint again, or take another step of its run" if in_checkpoint else of_a_data_set


def _read(entry: Mapping[str, list[float] | None]) -> NormStats:
    arrays = {
        key: None if entry.get(key) is None else np.asarray(entry[key], np.float64)
        for key in ("mean", "std", "q01", "q99")
    }
    mean, std = arrays["mean"], arrays["std"]
    if mean is None or std is None:
        raise ValueError("mean or std is missing")
    if any(array is not None and array.shape != mean.shape for array in arrays.values()):
        raise ValueError("mean, std, q01 and q99 differ in length")
    return NormStats(mean, std, arrays["q01"], arrays["q99"])


def save_norm_stats(file: Path, stats: Mapping[str, NormStats]) -> None:
    """Writes openpi's norm_stats.json, whole or not at all."""
    raw = {
        name: {key: _numbers(getattr(entry, key)) for key in ("mean", "std", "q01", "q99")}
        for name, entry in stats.items()
    }
    write_text(file, json.dumps({"norm_stats": raw}, indent=2) + "\n")


def _numbers(values: np.ndarray | None) -> list[float] | None:
    return None if values is None else [float(value) for value in values]
