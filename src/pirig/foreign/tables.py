"""Parquet files of others: opened with a sentence, columns as numbers with the frame that does not fit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pirig.foreign.faults import ForeignFileError, leave_out, refused

AGAIN = "copy it again"


def column_names(file: Path) -> list[str]:
    """Of the top level. Raises ForeignFileError where the file is damaged."""
    try:
        return pq.read_schema(file).names
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, error) from error


def read(file: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Raises ForeignFileError where the file is damaged, or lacks one of the columns or has it twice."""
    there = column_names(file)
    if twice := [name for name in columns or () if there.count(name) > 1]:
        raise refused(
            file, f"column {twice[0]!r} is there {there.count(twice[0])} times", AGAIN, expected="every column once"
        )
    missing = [name for name in columns or () if name not in there]
    if missing:
        raise refused(
            file,
            f"no column {missing[0]!r}",
            "record it, or name another column",
            expected=f"one of {', '.join(there) or 'none'}",
        )
    try:
        return pq.read_table(file, columns=None if columns is None else list(columns), partitioning=None)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, error) from error


LARGE_BYTES = 64e6  # of a column in one file: beyond it, it is read by row groups


class Groups:
    """A parquet file whose large columns are read by row groups: of an episode's pictures alone, where others lie beside them.

    Raises ForeignFileError where the file is damaged.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            self._opened = pq.ParquetFile(file)
        except (pa.ArrowException, OSError) as error:
            raise _damaged(file, error) from error
        told = self._opened.metadata
        self._starts = np.cumsum([0, *(told.row_group(number).num_rows for number in range(told.num_row_groups))])

    def is_large(self, column: str) -> bool:
        told = self._opened.metadata
        if told.num_row_groups < 2 or self._opened.schema_arrow.names.count(column) != 1:
            return False
        group = told.row_group(0)
        parts = [group.column(number) for number in range(group.num_columns)]
        size = sum(one.total_uncompressed_size for one in parts if f"{one.path_in_schema}.".startswith(f"{column}."))
        return bool(size * told.num_row_groups > LARGE_BYTES)

    def around(self, column: str, rows: np.ndarray) -> tuple[pa.ChunkedArray, int]:
        """The column in those groups that hold rows from the first to the last of these, and the number of its first row."""
        first, last = np.searchsorted(self._starts, [rows.min(), rows.max()], side="right") - 1
        try:
            table = self._opened.read_row_groups(list(range(int(first), int(last) + 1)), columns=[column])
        except (pa.ArrowException, OSError) as error:
            raise _damaged(self.file, error) from error
        return table[column], int(self._starts[first])


def _damaged(file: Path, error: Exception) -> ForeignFileError:
    if not file.exists():
        return refused(file, "it is not there", "copy the whole folder again")
    if file.is_dir():
        return refused(file, "it is a folder", AGAIN, expected="a whole .parquet file")
    reason = str(error).splitlines()[0][:100]
    size = file.stat().st_size if file.is_file() else 0
    what = "damaged or cut off while recording" if size else "it is empty"
    return refused(file, f"{what} ({reason})", AGAIN, expected="a whole .parquet file")


def pandas_index(table: pa.Table) -> list[str]:
    """The columns that pandas had as its index, where it wrote the table."""
    try:
        noted = json.loads((table.schema.metadata or {}).get(b"pandas", b"{}")).get("index_columns", [])
    except (ValueError, AttributeError):
        return []
    return [name for name in noted if isinstance(name, str)]


def is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def whole_numbers(column: pa.ChunkedArray, file: Path, name: str) -> np.ndarray:
    """i64 [N] of an index column. Raises ForeignFileError with the row that holds none."""
    values = matrix(column, file, name)
    if not len(values):
        return np.zeros(0, np.int64)
    if values.shape[1] != 1:
        raise refused(file, f"{name} holds {values.shape[1]} numbers a row", AGAIN, expected="one whole number a row")
    flat = values[:, 0]
    wrong = np.flatnonzero(~np.isfinite(flat) | (flat != np.round(flat)))
    if len(wrong):
        raise refused(file, f"{name} is {flat[wrong[0]]:g} in row {wrong[0]}", AGAIN, expected="a whole number")
    return flat.astype(np.int64)


def matrix(column: pa.ChunkedArray, file: Path, name: str, *, episode: int | None = None) -> np.ndarray:
    """f64 [T, D] of a column of numbers or of lists of them; a row is a frame where `episode` is given.

    Raises ForeignFileError for a type that holds no numbers, an empty row, and rows of several widths.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    array = column.combine_chunks()
    array = pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array
    parts = 1  # of a row
    while _is_list(array.type):
        _require_rows(array, file, name, episode, parts)
        lengths = pc.list_value_length(array).to_numpy(zero_copy_only=False)
        if len(lengths) and (lengths != lengths[0]).any():
            _refuse_ragged(lengths, file, name, episode, parts)
        parts *= int(lengths[0]) if len(lengths) else 1
        array = array.flatten()
    numbers = _as_numbers(array, file, name, episode)
    return numbers.reshape(len(column), -1) if len(column) else numbers.reshape(0, 0)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _require_rows(array: pa.Array, file: Path, name: str, episode: int | None, parts: int) -> None:
    if array.null_count:
        empty = np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))
        raise _of_row(
            file, f"{name} has empty rows, the first here", "numbers in every row", int(empty[0]) // parts, episode
        )


def _refuse_ragged(lengths: np.ndarray, file: Path, name: str, episode: int | None, parts: int) -> None:
    usual = int(np.bincount(lengths.astype(np.int64)).argmax())
    first = int(np.flatnonzero(lengths != usual)[0])
    raise _of_row(
        file, f"{name} has {int(lengths[first])} numbers", f"{usual} as in the other rows", first // parts, episode
    )


def _of_row(file: Path, there: str, expected: str, row: int, episode: int | None) -> ForeignFileError:
    if episode is None:
        return refused(file, f"row {row}: {there}", AGAIN, expected=expected)
    return refused(file, there, leave_out(episode), expected=expected, episode=episode, frame=row)


def _as_numbers(array: pa.Array, file: Path, name: str, episode: int | None) -> np.ndarray:
    kind = array.type
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    if not (is_number or pa.types.is_decimal(kind)):
        raise refused(
            file, f"{name} holds {kind}", "choose another column, or write it as numbers", expected="numbers, or lists of them",
            episode=episode,
        )  # fmt: skip
    if pa.types.is_decimal(kind):
        array = array.cast(pa.float64())
    if array.null_count and not pa.types.is_floating(kind):
        array = array.cast(pa.float64())
    return array.to_numpy(zero_copy_only=False).astype(np.float64)


def row_count(file: Path) -> int:
    try:
        return pq.read_metadata(file).num_rows
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, error) from error
