"""One converted episode per file: what a killed conversion leaves behind and the next one goes on from.

A part holds the columns that do not depend on the other episodes (images, state, actions, labels); its footer holds the seed
and the image histograms. It appears under its name only when it is whole. Where pictures are kept as films, these lie beside
it and were there before it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pirig.datasets.lerobot import format as fmt
from pirig.datasets.pictures import film_write, png
from pirig.datasets.pictures.film_write import Loss
from pirig.files.atomic import replacing

_RECORD = b"pirig"
NONE: Mapping[str, np.ndarray] = {}


@dataclass(frozen=True)
class Part:
    """One converted episode: its file, seed, length in frames, per role (frames sampled, histogram [3, 256]), the width of
    each label, its task in a contract of several, by role what was lost where its pictures are films, and of each further
    column (its type, its width, 0 of one number a frame)."""

    file: Path
    seed: int
    length: int
    histograms: dict[str, tuple[int, np.ndarray]]
    labels: dict[str, int]
    task: str = ""
    losses: dict[str, Loss] = field(default_factory=dict)
    columns: dict[str, tuple[str, int]] = field(default_factory=dict)

    def film(self, role: str) -> Path:
        return film_file(self.file, role)

    @property
    def files(self) -> list[Path]:
        return [self.file, *(self.film(role) for role in self.losses)]


def film_file(part: Path, role: str) -> Path:
    return part.with_name(f"{part.stem}.{role}.mp4")


def part_file(
    folder: Path,
    seed: int,
    state: np.ndarray,
    actions: np.ndarray,
    labels: Mapping[str, np.ndarray],
    task: str = "",
    columns: Mapping[str, np.ndarray] = NONE,
) -> Path:
    """The file of this episode: its name follows from the numbers, so a part of other demos is never taken."""
    named = b"".join(name.encode() + values.tobytes() for name, values in [*labels.items(), *columns.items()])
    digest = hashlib.sha256(state.tobytes() + actions.tobytes() + named + task.encode()).hexdigest()[:16]
    return folder / f"{seed:010d}-{digest}.parquet"


def write(
    file: Path,
    seed: int,
    frames: Mapping[str, np.ndarray],
    state: np.ndarray,
    actions: np.ndarray,
    pool: Executor,
    labels: Mapping[str, np.ndarray],
    task: str = "",
    films: tuple[str, float] | None = None,
    others: Mapping[str, np.ndarray] = NONE,
) -> Part:
    """Encodes {role: u8 [T, H, W, 3]} with the pool and writes the part; `films`: as films of this codec and rate. `others`: [T]
    or [T, k] by the name of the column."""
    columns: dict[str, pa.Array] = {}
    histograms, losses = {}, {}
    for role, images in frames.items():
        if films is None:
            columns[fmt.image_key(role)] = fmt.images(list(pool.map(png.encode, images)))
        else:
            codec, fps = films
            losses[role] = film_write.encode(film_file(file, role), images.__iter__, fps, codec)
        histograms[role] = fmt.image_histogram(images)
    columns[fmt.STATE_KEY], columns[fmt.ACTION_KEY] = fmt.vectors(state), fmt.vectors(actions)
    columns |= {fmt.label_key(name): fmt.vectors(values) for name, values in labels.items()}
    columns |= {name: fmt.vectors(values) if values.ndim > 1 else pa.array(values) for name, values in others.items()}
    widths = {name: values.shape[1] for name, values in labels.items()}
    kinds = {name: (values.dtype.name, values.shape[1] if values.ndim > 1 else 0) for name, values in others.items()}
    return _save(Part(file, seed, len(actions), histograms, widths, task, losses, kinds), columns)


def write_encoded(
    file: Path,
    seed: int,
    pngs: Mapping[str, Sequence[bytes]],
    state: np.ndarray,
    actions: np.ndarray,
    labels: Mapping[str, np.ndarray],
) -> Part:
    """As `write`, of pictures that are PNG bytes already, T of each role; few are decoded."""
    columns: dict[str, pa.Array] = {fmt.image_key(role): fmt.images(list(encoded)) for role, encoded in pngs.items()}
    histograms = {role: _histogram(encoded) for role, encoded in pngs.items()}
    columns[fmt.STATE_KEY], columns[fmt.ACTION_KEY] = fmt.vectors(state), fmt.vectors(actions)
    columns |= {fmt.label_key(name): fmt.vectors(values) for name, values in labels.items()}
    widths = {name: values.shape[1] for name, values in labels.items()}
    return _save(Part(file, seed, len(actions), histograms, widths), columns)


def _histogram(encoded: Sequence[bytes]) -> tuple[int, np.ndarray]:
    few = sorted(fmt.sampled(len(encoded)))
    return fmt.image_histogram(np.stack([png.decode(encoded[number]) for number in few]))


def _save(part: Part, columns: Mapping[str, pa.Array]) -> Part:
    losses = {role: dataclasses.astuple(loss) for role, loss in part.losses.items()}
    record = {
        "seed": part.seed,
        "histograms": {role: [count, histogram.tolist()] for role, (count, histogram) in part.histograms.items()},
        **({"labels": part.labels} if part.labels else {}),  # without them a part is what it always was, byte by byte
        **({"task": part.task} if part.task else {}),
        **({"losses": losses} if losses else {}),
        **({"columns": part.columns} if part.columns else {}),
    }
    table = pa.table(dict(columns)).replace_schema_metadata({_RECORD: json.dumps(record)})
    with replacing(part.file) as file:
        pq.write_table(table, file, compression="none", use_dictionary=False, write_statistics=False)
    return part


def read(file: Path) -> Part:
    """The part's description, without its images. Raises ValueError where the file is damaged."""
    try:
        footer = pq.read_metadata(file)
        record = json.loads(footer.metadata[_RECORD])
    except (pa.ArrowInvalid, KeyError, ValueError) as error:
        raise ValueError(
            f"{file}: not a finished part of a conversion ({error}); remove it and convert again"
        ) from error
    histograms = {role: (count, np.asarray(rows)) for role, (count, rows) in record["histograms"].items()}
    losses = {role: Loss(*numbers) for role, numbers in record.get("losses", {}).items()}
    labels, task = record.get("labels", {}), record.get("task", "")
    columns = {name: (kind, width) for name, (kind, width) in record.get("columns", {}).items()}
    return Part(file, record["seed"], footer.num_rows, histograms, labels, task, losses, columns)
