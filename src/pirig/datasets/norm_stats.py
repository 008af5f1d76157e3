"""Normalisation statistics: exact, from every frame, after the state recipe and before padding; no image is decoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pirig.datasets.lerobot_read import Dataset
from pirig.transforms.normalize import NormStats
from pirig.transforms.relative import Relative, relative


def compute(dataset: Dataset, held_out: Sequence[int] = (), relation: Relative | None = None) -> dict[str, NormStats]:
    """{"state", "actions"}: mean, population standard deviation, 1 % and 99 % quantiles over all frames.

    Without those of the episodes `held_out`. With `relation`, actions are all steps of all chunks relative to the state,
    as a model learns them (openpi's way), so they depend on the chunk's length.
    """
    rows = dataset.rows_without(held_out)
    if relation is None:
        return {"state": of_rows(dataset.state[rows]), "actions": of_rows(dataset.actions[rows])}
    parts = [of_rows(column.reshape(-1, 1)) for column in chunk_columns(dataset, rows, relation)]
    joined = (np.concatenate([getattr(part, kind) for part in parts]) for kind in ("mean", "std", "q01", "q99"))
    return {"state": of_rows(dataset.state[rows]), "actions": NormStats(*joined)}


def chunk_columns(dataset: Dataset, rows: np.ndarray, relation: Relative) -> Iterator[np.ndarray]:
    """Of each action number in turn: [n, A], the chunks at the frames `rows` as they are learned.

    One number at a time, since all chunks together are the data set times the horizon. Behind an episode's end its last
    action is repeated, as in training.
    """
    last = np.repeat(np.cumsum(dataset.lengths) - 1, dataset.lengths)[rows]
    steps = np.minimum(rows[:, None] + np.arange(relation.horizon), last[:, None])
    for number in range(dataset.actions.shape[-1]):
        column = slice(number, number + 1)
        chunks = dataset.actions[:, number][steps][..., None]
        yield relative(chunks, dataset.state[rows, column], relation.mask[column])[..., 0]


def of_rows(rows: np.ndarray) -> NormStats:
    """Statistics over the first axis of [N, D], computed in float64."""
    values = rows.astype(np.float64)
    q01, q99 = np.quantile(values, [0.01, 0.99], axis=0)
    return NormStats(values.mean(0), values.std(0), q01, q99)
