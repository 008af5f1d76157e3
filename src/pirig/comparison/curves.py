"""metrics.jsonl of a run, exactly summarised and thinned to what a screen can show."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

FILE_NAME = "metrics.jsonl"
CURVES = ("loss", "validation_loss", "grad_norm", "lr", "samples_per_s")
COLUMNS = ("step", *CURVES, "step_s", "elapsed_s")
PARTS = re.compile(
    rb'"((?:validation_)?\w+_(?:loss|mm|deg))":'
)  # of losses beside the flow loss, and what they measure
BUCKETS = 400  # points of a curve
WINDOW = 20  # steps that a milestone or a last value is the mean of
MILESTONES = (1, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 50_000, 100_000, 200_000)

Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Curve:
    """Of each bucket of steps: the last step and its elapsed seconds, mean, least and greatest value. Same length all."""

    step: np.ndarray
    elapsed_s: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Training:
    """What a run's metrics say; `milestones` maps steps to the mean loss of the WINDOW steps that end there."""

    step: int = 0
    loss: float | None = None
    validation_loss: float | None = None
    grad_norm_max: float | None = None
    samples_per_s: float | None = None
    step_s: float | None = None
    elapsed_s: float | None = None
    milestones: dict[int, float] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)


def read_training(folder: Path) -> Training:
    """An empty Training where there are no metrics yet."""
    path = folder / FILE_NAME
    columns = read_columns(path.read_bytes()) if path.is_file() else {}
    if not columns or not len(columns["step"]):
        return Training()
    step, loss = columns["step"], columns["loss"]
    return Training(
        step=int(step[-1]),
        loss=_last_mean(loss),
        validation_loss=_last(columns["validation_loss"]),
        grad_norm_max=_greatest(columns["grad_norm"]),
        samples_per_s=_median(columns["samples_per_s"]),
        step_s=_median(columns["step_s"]),
        elapsed_s=_last(columns["elapsed_s"]),
        milestones=_milestones(step, loss),
        curves={name: curve for name in _drawn(columns) if (curve := thin(columns, name)) is not None},
    )


def _drawn(columns: Columns) -> list[str]:
    """Names of the curves: the usual ones, then the auxiliary losses' own."""
    return [*CURVES, *(name for name in columns if name not in COLUMNS)]


def read_columns(data: bytes) -> Columns:
    """f64 columns of JSON lines, NaN where a row lacks a value; a last line that a kill cut off is left out.

    COLUMNS, and what auxiliary losses wrote.
    """
    whole = data[: data.rfind(b"\n") + 1]
    if not whole:
        return {}
    parts = sorted({name.decode() for name in PARTS.findall(whole)} - set(COLUMNS))
    names = (*COLUMNS, *parts)
    if b"NaN" in whole or b"Infinity" in whole:
        return _read_slowly(whole, names)
    import pyarrow
    from pyarrow import json as arrow_json

    schema = pyarrow.schema([(name, pyarrow.float64()) for name in names])
    options = arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    try:
        table = arrow_json.read_json(io.BytesIO(whole), parse_options=options)
    except pyarrow.ArrowInvalid:
        return _read_slowly(whole, names)
    return {name: table[name].to_numpy() for name in names}


def _read_slowly(whole: bytes, names: Sequence[str]) -> Columns:
    """Python's own reader knows NaN, which Arrow's refuses. Raises ValueError with the number of a line that is no row."""
    rows = []
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            rows.append(dict(json.loads(line)))
        except (ValueError, TypeError) as error:
            raise ValueError(f"line {number}: {error}") from error
    return {name: np.array([row.get(name, np.nan) for row in rows], np.float64) for name in names}


def thin(columns: Columns, name: str, buckets: int = BUCKETS) -> Curve | None:
    """The column in at most so many buckets of equally many steps; None where it holds no number.

    Means would hide a spike, so least and greatest are kept beside them.
    """
    there = np.isfinite(columns[name])
    if not there.any():
        return None
    values, step, elapsed_s = (columns[key][there] for key in (name, "step", "elapsed_s"))
    starts = np.unique(np.linspace(0, len(values), min(buckets, len(values)), endpoint=False).astype(int))
    ends = np.append(starts[1:], len(values))
    return Curve(
        step=step[ends - 1],
        elapsed_s=elapsed_s[ends - 1],
        mean=np.add.reduceat(values, starts) / (ends - starts),
        low=np.minimum.reduceat(values, starts),
        high=np.maximum.reduceat(values, starts),
    )


def coarser(curve: Curve, buckets: int) -> Curve:
    """Neighbouring buckets joined until there are at most so many."""
    if len(curve.step) <= buckets:
        return curve
    starts = np.unique(np.linspace(0, len(curve.step), buckets, endpoint=False).astype(int))
    ends = np.append(starts[1:], len(curve.step))
    return Curve(
        step=curve.step[ends - 1],
        elapsed_s=curve.elapsed_s[ends - 1],
        mean=np.add.reduceat(curve.mean, starts) / (ends - starts),
        low=np.minimum.reduceat(curve.low, starts),
        high=np.maximum.reduceat(curve.high, starts),
    )


def _milestones(step: np.ndarray, loss: np.ndarray) -> dict[int, float]:
    wanted = [milestone for milestone in MILESTONES if milestone < step[-1]] + [int(step[-1])]
    losses = {}
    for milestone in wanted:
        end = int(np.searchsorted(step, milestone, side="right"))
        if end and step[end - 1] == milestone:
            mean = _last_mean(loss[max(0, end - WINDOW) : end])
            if mean is not None:
                losses[milestone] = mean
    return losses


def _last_mean(values: np.ndarray) -> float | None:
    finite = values[np.isfinite(values)]
    return float(np.mean(finite[-WINDOW:])) if len(finite) else None


def _last(values: np.ndarray) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite[-1]) if len(finite) else None


def _greatest(values: np.ndarray) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.max()) if len(finite) else None


def _median(values: np.ndarray) -> float | None:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else None
