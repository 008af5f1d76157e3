"""Normalisation statistics: exact, from every frame, after the state recipe and before padding; no image is decoded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from pirig.contract import Contract
from pirig.datasets.lerobot.read import Dataset
from pirig.files import identity
from pirig.files.identity import Identity
from pirig.transforms.normalize import NormStats, load_norm_stats, save_norm_stats
from pirig.transforms.relative import Relative, relative

CODE = 1  # changes where the same rows would give other statistics


def record_of(file: Path) -> Path:
    return file.with_name(f"{file.stem}.{identity.FILE_NAME}")


def asked_of(
    contents: Mapping[str, str], folders: Mapping[str, Path], contract: Contract, relation: Relative | None
) -> Identity:
    """What decides the statistics of all episodes of data sets, whose digests and folders are given by name."""
    relative_to = {"relative_to_state": list(relation.counts), "horizon": relation.horizon} if relation else {}
    places = {name: str(folder) for name, folder in folders.items()}
    return Identity("norm stats", contents, {"contract": contract.hash, **relative_to}, code=CODE, places=places)


def make(file: Path, asked: Identity, open_data_set: Callable[[], Dataset], relation: Relative | None) -> None:
    """Writes the statistics, or says that they are there. Raises IdentityError where those there are of other data."""
    if not file.is_file():
        save_norm_stats(file, compute(open_data_set(), relation=relation))
        asked.save(record_of(file))
        return
    there = identity.load(record_of(file))
    if there is None:
        _adopt(file, asked, compute(open_data_set(), relation=relation))
    else:
        identity.require(asked, there, file, identity.move_away(file))
        print(f"stats: {file} is there already, of the same data set", flush=True)


def _adopt(file: Path, asked: Identity, computed: Mapping[str, NormStats]) -> None:
    """The record of statistics that have none, where they are those of the data set."""
    theirs, ours = digest_of(load_norm_stats(file)), digest_of(computed)
    if theirs != ours:
        names = " and ".join(asked.places.values())
        raise identity.IdentityError(
            f"{file}: not the statistics of {names} (of their numbers {theirs}, computed {ours}). {identity.move_away(file)}"
        )
    said = "no record of what they were made from; computed again, they are those of the data set"
    dataclasses.replace(asked, adopted=said).keep(record_of(file))
    print(f"stats: {file}: {said}", flush=True)


def digest_of(stats: Mapping[str, NormStats]) -> str:
    """Of the numbers, to seven digits: another processor rounds the last one otherwise."""
    kinds = ("mean", "std", "q01", "q99")
    arrays = {f"{name} {kind}": getattr(stats[name], kind) for name in sorted(stats) for kind in kinds}
    return identity.digest_of({name: None if a is None else [f"{v:.6e}" for v in a] for name, a in arrays.items()})


def compute(dataset: Dataset, held_out: Sequence[int] = (), relation: Relative | None = None) -> dict[str, NormStats]:
    """{"state", "actions"}: mean, population standard deviation, 1 % and 99 % quantiles over all frames.

    Without those of the episodes `held_out`, and without corrections: a policy that trains on them keeps its numbers. With
    `relation`, actions are all steps of all chunks relative to the state, as a model learns them (openpi's way), so they
    depend on the chunk's length.
    """
    rows = dataset.rows_without([*held_out, *dataset.corrections])
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
