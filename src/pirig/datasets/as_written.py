"""Whether a data set still holds the rows, pictures and films that were written: what was edited in place is another data set.

The digest is of content, so tables that are packed otherwise, a README or another file beside them change nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pirig.config.places import META
from pirig.datasets.lerobot import v30
from pirig.datasets.lerobot.format import ACTION_KEY, LABEL_PREFIX, STATE_KEY
from pirig.files import identity
from pirig.files.atomic import write_text
from pirig.files.digests import Digests
from pirig.files.identity import IdentityError, move_away
from pirig.files.records import read_record

FILE_NAME = "rows.json"
NUMBERS = (STATE_KEY, ACTION_KEY)
IMAGE_PREFIX = "observation.images."


def note(data_set: Path) -> None:
    """Writes the digest into a data set that was just written."""
    _note(data_set, digest_of(data_set))


def require(data_set: Path, cache: Path | None = None, *, takes_in: bool = True) -> None:
    """Computes the digest again where a file has changed since; `cache`: the folder where that is remembered, if any.

    One from before digests were kept is taken in as it is, once, and said so; not with `takes_in` False, for a folder that is
    only read. Raises IdentityError where it was changed.
    """
    files = _files(data_set)
    kept = data_set / META / FILE_NAME
    if not files or not (takes_in or kept.is_file()):
        return
    name = f"rows of {data_set.resolve()}"
    now = Digests(cache).of(name, files, lambda: digest_of(data_set)) if cache else digest_of(data_set)
    if not kept.is_file():
        with contextlib.suppress(OSError):
            _note(data_set, now)
            print(f"data set: {data_set}: no record of its rows; taken in as they are now", flush=True)
        return
    if (then := read_record(kept, "rows")["rows"]) != now:
        raise IdentityError(
            f"{data_set}: its rows or pictures were changed after it was made: {then} then, {now} now. "
            f"{move_away(data_set)}"
        )


def digest_of(data_set: Path) -> str:
    """Of state, actions, labels and encoded pictures in the order of frames, and of the files of films.

    Raises ValueError where a table is damaged.
    """
    tables = sorted(data_set.glob("data/*/*.parquet"))
    parts = {file.relative_to(data_set).as_posix(): _digest_of_file(file) for file in _films(data_set)}
    for name in _columns(tables):
        digest = hashlib.sha256()
        for file in tables:
            _add(digest, file, name)
        parts[name] = digest.hexdigest()
    return identity.digest_of(parts)


def _columns(tables: list[Path]) -> list[str]:
    try:
        names = [name for file in tables[:1] for name in pq.read_schema(file).names]
    except (pa.ArrowException, OSError) as error:
        raise _damaged(tables[0], error) from error
    return [name for name in names if name in NUMBERS or name.startswith((LABEL_PREFIX, IMAGE_PREFIX))]


def _add(digest: hashlib._Hash, file: Path, name: str) -> None:
    """A group of rows at a time, so that no data set needs to fit into memory."""
    try:
        with pq.ParquetFile(file) as opened:
            for group in range(opened.num_row_groups):
                column = opened.read_row_group(group, columns=[name])[name]
                if name.startswith(IMAGE_PREFIX):
                    for cell in column:
                        digest.update(cell["bytes"].as_py() or b"")
                else:
                    digest.update(v30.as_matrix(column).tobytes())
    except (pa.ArrowException, OSError, KeyError) as error:
        raise _damaged(file, error) from error


def _damaged(file: Path, error: Exception) -> ValueError:
    return ValueError(f"{file}: damaged or half-written ({error}); move the data set away and convert again")


def _films(data_set: Path) -> list[Path]:
    return sorted(data_set.glob("videos/**/*.mp4"))


def _files(data_set: Path) -> list[Path]:
    return [*sorted(data_set.glob("data/*/*.parquet")), *_films(data_set)]


def _digest_of_file(file: Path) -> str:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _note(data_set: Path, digest: str) -> None:
    write_text(data_set / META / FILE_NAME, f'{{"rows": "{digest}"}}\n')
