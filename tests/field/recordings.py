"""LeRobot folders of the kinds that people report: a good one of three episodes, and functions that bend it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pirig.config.places import places_of
from pirig.datasets.inspect import look
from pirig.gates.ask import reports
from pirig.stages import convert, demos
from tests.datasets.kinova_recordings import write_recording

Change = Callable[[Path], None]


def table_of(folder: Path, episode: int = 1) -> Path:
    """The file of an episode in v2.x, of all episodes in v3.0."""
    (file,) = [*folder.glob(f"data/*/episode_{episode:06d}.parquet"), *folder.glob("data/*/file-000.parquet")]
    return file


def info(change: Callable[[dict], object]) -> Change:
    def apply(folder: Path) -> None:
        file = folder / "meta/info.json"
        said = json.loads(file.read_text())
        change(said)
        file.write_text(json.dumps(said))

    return apply


def meta(name: str, data: bytes | str | Callable[[bytes], bytes]) -> Change:
    def apply(folder: Path) -> None:
        file = folder / "meta" / name
        new = data(file.read_bytes()) if callable(data) else data
        file.write_bytes(new if isinstance(new, bytes) else new.encode())

    return apply


def line(number: int, name: str = "episodes.jsonl", **keys) -> Change:
    """Keys of one line; None takes a key out."""

    def apply(folder: Path) -> None:
        file = folder / "meta" / name
        rows = [json.loads(text) for text in file.read_text().splitlines()]
        rows[number] = {
            key: value for key, value in (rows[number] | keys).items() if key not in keys or value != "gone"
        }
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))

    return apply


def rows(change: Callable[[pa.Table], pa.Table], episode: int = 1) -> Change:
    def apply(folder: Path) -> None:
        file = table_of(folder, episode)
        pq.write_table(change(pq.read_table(file)), file)

    return apply


def column(name: str, values: Callable[[list], object], kind: pa.DataType | None = None, episode: int = 1) -> Change:
    """A column of an episode's rows, changed as a list of Python values."""

    def change(table: pa.Table) -> pa.Table:
        new = pa.array(list(values(table[name].to_pylist())), kind or table.schema.field(name).type)
        return table.set_column(table.column_names.index(name), name, new)

    return rows(change, episode)


def file(change: Callable[[bytes], bytes], name: str = "data/chunk-000/episode_000001.parquet") -> Change:
    def apply(folder: Path) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return apply


def every(*changes: Change) -> Change:
    def apply(folder: Path) -> None:
        for change in changes:
            change(folder)

    return apply


def recording(folder: Path, change: Change | None = None, **settings) -> Path:
    write_recording(folder, **settings)
    if change:
        change(folder)
    return folder


def pointed(config, folder: Path, out: Path):
    """The config of a healthy recording, at another one."""
    asked, run = replace(config.demos, path=str(folder)), replace(config.run, root=str(out))
    return replace(config, demos=asked, run=run)


def refusals(config, folder: Path, out: Path) -> list[str]:
    """What demos, convert, inspect and doctor say; nothing is written."""
    said, config = [], pointed(config, folder, out)
    for stage in (demos, convert):
        try:
            stage.make(config, places_of(config))
        except ValueError as error:
            said.append(str(error))
    assert not out.exists()
    said.append(look(folder).missing[0].removeprefix("damaged: "))
    (answer,) = [report for _, report in reports(folder)]
    said.append(answer.found["complete"][0].removeprefix("damaged: "))
    return said


def frames(table: pa.Table) -> np.ndarray:
    return np.asarray(table["frame_index"])
