"""Reads LeRobot data sets that somebody else wrote: v2.0, v2.1 and v3.0, images in the table or as videos.

What a file may be is asked at the door (`pirig.foreign`); here its rows become episodes of numbers and pictures.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa

from pirig.datasets.lerobot import digests
from pirig.datasets.pictures import png, video
from pirig.datasets.recording import split_column
from pirig.foreign import films, pictures, tables, times
from pirig.foreign.faults import ForeignFileError, leave_out, refused
from pirig.foreign.lerobot import OWN_COLUMNS, PICTURES, EpisodeMeta, Feature, read_meta, require_frames, unread_stats
from pirig.foreign.rows import EpisodeRows, RowIndex, require_whole

TEMPLATES = {
    True: "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
    False: "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
}
LARGEST = 1e6  # no angle, in degrees neither, and no register of a gripper is larger


@dataclass(frozen=True)
class Part:
    """An episode's part of a film."""

    file: Path
    window: films.Window


class LeRobotSource:
    """`episodes` in order, as meta/ names them. Raises ForeignFileError where meta/ is damaged or of no known version."""

    def __init__(self, folder: Path) -> None:
        self.meta = read_meta(folder)
        self.folder, self.info, self.episodes = self.meta.folder, self.meta.info, self.meta.episodes
        self.faults: Mapping[int, ForeignFileError] = {}  # one bad episode refuses the recording
        self.features: dict[str, Feature] = self.info.features
        self.fps = self.info.fps
        self._table, self._groups = lru_cache(maxsize=4)(tables.read), lru_cache(maxsize=4)(tables.Groups)
        self._one_reads = Lock()  # of several threads that want the same file

    @cached_property
    def index(self) -> RowIndex:
        return RowIndex(self.meta)

    @property
    def known(self) -> set[int]:
        return {episode.index for episode in self.episodes} | set(self.index.episodes)

    @property
    def robot_type(self) -> Any:
        return self.info.robot_type

    @property
    def kind(self) -> str:
        return f"LeRobot {self.info.codebase_version}"

    @cached_property
    def fingerprint(self) -> str:
        """Of what meta/ says and of the sizes of all files: another state of the data set has another one."""
        digest = hashlib.sha256()
        for file in sorted(path for path in self.folder.rglob("*") if path.is_file() and ".cache" not in path.parts):
            name = file.relative_to(self.folder)
            digest.update(f"{name} {file.stat().st_size}\n".encode())
            if name.parts[0] == "meta":
                digest.update(file.read_bytes())
        return digest.hexdigest()[:16]

    def examine(
        self, left_out: Iterable[int] = (), columns: Sequence[str] | None = None, *, ask_times: bool = True
    ) -> list[str]:
        """Asks every episode that is not left out: rows, their order, times, tasks, films and pictures.

        `columns`: those of pictures that are used; None: all. Returns notes on what is unusual and was put right. Raises
        ForeignFileError for the first fault.
        """
        left_out, notes = set(left_out), dict[str, None]()
        self.index.require_named(left_out)
        shown = self.meta.image_columns() if columns is None else list(columns)
        chosen = [episode for episode in self.episodes if episode.index not in left_out]
        self._require_long(chosen, left_out)
        for episode in chosen:
            notes |= dict.fromkeys(self._examine_rows(episode, ask_times))
        if not left_out:
            require_frames(self.meta)
        for column in shown:
            if self.features[column].dtype == "video":
                self._examine_films(column, chosen)
            else:
                for episode in chosen:
                    self._examine_pictures(column, episode)
        return [*notes, *unread_stats(self.meta)]

    def _require_long(self, chosen: list[EpisodeMeta], left_out: set[int]) -> None:
        short = [episode.index for episode in chosen if episode.length < 2]
        if short:
            raise refused(
                self.meta.episodes_file, f"{len(short)} episodes have fewer than 2 frames, so nothing moves in them",
                f"give demos.leave_out={sorted({*left_out, *short})} to do without them", expected="at least 2 frames",
                episode=short[0],
            )  # fmt: skip

    def _examine_rows(self, episode: EpisodeMeta, ask_times: bool) -> list[str]:
        rows, told = self.index.of(episode.index), self.index.told_file(episode)
        require_whole(episode, rows, told, self.meta)
        self._examine_task(episode, rows)
        notes = []
        if ask_times and rows.times_s is not None:
            note = times.require_rate(rows.file, episode.index, rows.times_s, self.fps)
            notes += [f"{self.folder}: {note}"] if note else []
        if rows.moved:
            notes.append(f"{self.folder}: rows that lie out of order were put into that of their frame_index")
        if told is not None and any(rows.paths[number] != told for number in np.unique(rows.files)):
            notes.append(
                f"{self.folder}: episodes lie in other files than meta/ says (episode {episode.index} in {rows.file.name}, "
                f"meta/ says {told.name}); they were taken from where they are"
            )
        return notes

    def _examine_task(self, episode: EpisodeMeta, rows: EpisodeRows) -> None:
        """The rows' task_index is one that meta/ knows, and the episode's own sentence."""
        if rows.task_index is None or not self.meta.tasks:
            return
        unknown = np.flatnonzero(~np.isin(rows.task_index, list(self.meta.tasks)))
        if len(unknown):
            number = int(rows.task_index[unknown[0]])
            known = ", ".join(map(str, list(self.meta.tasks)[:6]))
            raise refused(
                rows.file, f"task_index {number} is not in {self.meta.tasks_file.name}", leave_out(episode.index),
                expected=f"one of {known}", episode=episode.index, frame=int(unknown[0]),
            )  # fmt: skip
        said = [self.meta.tasks[int(number)] for number in np.unique(rows.task_index)]
        other = [sentence for sentence in said if episode.tasks and sentence not in episode.tasks]
        if other:
            raise refused(
                rows.file,
                f"its rows' task is {other[0]!r}, {self.meta.episodes_file.name} says {episode.tasks[0]!r}",
                leave_out(episode.index), expected="the same task in both", episode=episode.index,
            )  # fmt: skip

    def _examine_films(self, column: str, chosen: list[EpisodeMeta]) -> None:
        size, by_file = self._size(column), dict[Path, list[films.Window]]()
        for episode in chosen:
            part = self.part(episode, column)
            films.require_pictures(films.look(part.file), column, size, episode.index)
            by_file.setdefault(part.file, []).append(part.window)
        for file, windows in by_file.items():
            if self.info.is_v3:
                films.require_joined(films.look(file), windows, self.fps, self._unasked(column, chosen, file))
            elif len(windows) > 1:
                raise refused(
                    file, f"episodes {windows[0].episode} and {windows[1].episode} have the same film",
                    "correct video_path in meta/info.json", expected="a film for each episode",
                )  # fmt: skip
            else:
                films.require_alone(films.look(file), windows[0], self.fps)

    def _unasked(self, column: str, chosen: list[EpisodeMeta], file: Path) -> list[films.Window]:
        """The parts of a film that belong to episodes that are left out, as far as meta/ says where they are."""
        used = {episode.index for episode in chosen}
        windows = []
        for episode in self.episodes:
            if episode.index not in used:
                with contextlib.suppress(ForeignFileError):
                    part = self.part(episode, column)
                    windows += [part.window] if part.file == file else []
        return windows

    def _examine_pictures(self, column: str, episode: EpisodeMeta) -> None:
        size, rows = self._size(column), self.index.of(episode.index)
        for frame, cell in enumerate(self._cells(rows, column)):
            place = rows.paths[int(rows.files[frame])], column, episode.index, frame
            pictures.require_good(pictures.data_of(cell.as_py(), self.folder, *place), size, *place)

    def _size(self, column: str) -> tuple[int, int]:
        size = self.meta.image_size(column)
        assert size is not None  # whoever asks has chosen a column of pictures
        return size

    def part(self, episode: EpisodeMeta, column: str) -> Part:
        """Where a film's pictures of an episode are. Raises ForeignFileError where meta/ does not say, or no file is there."""
        values: dict[str, Any] = {"video_key": column, "episode_index": episode.index}
        values["episode_chunk"] = episode.index // (self.info.chunks_size or 1000)
        start_s: float = 0.0
        end_s: float | None = None
        if self.info.is_v3:
            told = {name: episode.places.get(f"videos/{column}/{name}") for name in ("chunk_index", "file_index")}
            start, end = (_number(episode.places.get(f"videos/{column}/{name}_timestamp")) for name in ("from", "to"))
            if start is None or any(_number(value) is None for value in told.values()):
                raise refused(
                    self.meta.episodes_file, f"no place of {column} in its film", "copy the meta folder again",
                    expected=f"videos/{column}/chunk_index, /file_index and /from_timestamp", episode=episode.index,
                )  # fmt: skip
            values |= {name: int(_number(value) or 0) for name, value in told.items()}
            start_s, end_s = start, end
        file = self._film_file(episode, column, values)
        return Part(file, films.Window(episode.index, episode.length, start_s, end_s))

    def _film_file(self, episode: EpisodeMeta, column: str, values: dict[str, Any]) -> Path:
        template = self.info.video_path or TEMPLATES[self.info.is_v3]
        try:
            file = self.folder / template.format(**values)
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            raise refused(
                self.meta.info_file, f"video_path is {template!r}", "correct it there",
                expected=f"a path such as {TEMPLATES[self.info.is_v3]}",
            ) from error  # fmt: skip
        if file.is_file():
            return file
        elsewhere = [] if self.info.is_v3 else self._films_named(file.name, column)
        if len(elsewhere) == 1:
            return elsewhere[0]
        raise refused(
            file, "it is not there, though meta/ names it",
            f"copy it again, or give demos.leave_out=[{episode.index}]", expected=f"the film of {column}", episode=episode.index,
        )  # fmt: skip

    def _films_named(self, name: str, column: str) -> list[Path]:
        """By another template than info.json's: the file of that name below a folder of the column's."""
        return [path for path in (self.folder / "videos").rglob(name) if column in path.parts]

    def numbers(self, episode: EpisodeMeta, columns: Sequence[str]) -> np.ndarray:
        """f64 [T, D]: these columns side by side; ``name[a:b]`` takes a part of one. Raises ValueError, naming what is there."""
        return np.concatenate([self._column(episode, column) for column in columns], axis=1)

    def _column(self, episode: EpisodeMeta, column: str) -> np.ndarray:
        name, part = split_column(column)
        if name not in self.features or self.features[name].dtype in (*PICTURES, "string"):
            raise ValueError(f"{self.folder}: no column {name!r} of numbers; it has {self.described()}.")
        rows = self.index.of(episode.index)
        values = tables.matrix(self._cells(rows, name), rows.file, name, episode=episode.index)
        told = self.features[name].width
        if values.shape[1] != told:
            raise refused(
                rows.file, f"{name} has {values.shape[1]} numbers a row",
                f"correct features.{name}.shape there, or give demos.leave_out=[{episode.index}]",
                expected=f"{told}, as meta/info.json says", episode=episode.index,
            )  # fmt: skip
        self._require_finite(rows, episode, name, values)
        return values[:, part]

    def _require_finite(self, rows: EpisodeRows, episode: EpisodeMeta, name: str, values: np.ndarray) -> None:
        bad = np.argwhere(~(np.abs(values) <= LARGEST))
        if len(bad):
            frame, number = (int(place) for place in bad[0])
            raise refused(
                rows.paths[int(rows.files[frame])], f"number {number} of {name} is {values[frame, number]:g}",
                leave_out(episode.index), expected=f"a finite number up to {LARGEST:g}", episode=episode.index, frame=frame,
            )  # fmt: skip

    def _cells(self, rows: EpisodeRows, name: str) -> pa.ChunkedArray:
        """A column of an episode, in the order of its frames."""
        with self._one_reads:
            parts = {
                int(number): self._part(rows.paths[number], name, rows.rows[rows.files == number])
                for number in np.unique(rows.files)
            }
        if len(parts) == 1:
            ((column, first),) = parts.values()
            return column.take(pa.array(rows.rows - first))
        places = [(*parts[int(number)], int(row)) for number, row in zip(rows.files, rows.rows, strict=True)]
        runs = [column.slice(row - first, 1) for column, first, row in places]
        chunks = [chunk for run in runs for chunk in run.chunks]
        if len({str(chunk.type) for chunk in chunks}) > 1:
            raise refused(
                rows.file, f"{name} is of {chunks[0].type} here and of another type in the episode's other file",
                "write both alike", expected="one type of column",
            )  # fmt: skip
        return pa.chunked_array(chunks)

    def _part(self, file: Path, name: str, rows: np.ndarray) -> tuple[pa.ChunkedArray, int]:
        """A file's column and the number of its first row: all of it, or where it is large what is about these rows."""
        groups = self._groups(file)
        return groups.around(name, rows) if groups.is_large(name) else (self._table(file, (name,))[name], 0)

    def number_columns(self) -> list[str]:
        others = (*OWN_COLUMNS, *self.meta.image_columns())
        return [key for key in self.features if key not in others and self.features[key].dtype != "string"]

    def described(self) -> str:
        """``action [7], observation.state [8]``: its columns of numbers."""
        shown = [f"{key} {list(self.features[key].shape)}" for key in self.number_columns()]
        return ", ".join(shown) or "no columns of numbers"

    def listed(self) -> list[str]:
        return []

    def task_of(self, episode: EpisodeMeta) -> str:
        """Of its line in meta/, else of its rows."""
        if episode.tasks:
            return episode.tasks[0]
        numbers = self.index.of(episode.index).task_index
        return "" if numbers is None else self.meta.tasks.get(int(numbers[0]), "")

    def files_of(self, episodes: Sequence[EpisodeMeta], cameras: Sequence[str]) -> list[Path]:
        return digests.files_of(self, episodes, cameras)

    def digests_of(self, episodes: Sequence[EpisodeMeta], columns: Sequence[str], cameras: Sequence[str]) -> list[str]:
        return digests.digests_of(self, episodes, columns, cameras)

    def times_s(self, episode: EpisodeMeta) -> np.ndarray | None:
        """f64 [T]; None where the data set has no timestamps."""
        return self.index.of(episode.index).times_s

    def cells(self, episode: EpisodeMeta, column: str) -> pa.ChunkedArray:
        """A column of an episode as it is kept, in the order of its frames."""
        return self._cells(self.index.of(episode.index), column)

    def frames(self, episode: EpisodeMeta, column: str, wanted: Sequence[int] | None = None) -> Iterator[np.ndarray]:
        """u8 [H, W, 3] of each frame, one at a time; `wanted`: of these, which ascend, alone. Raises ValueError where one is
        missing or cannot be decoded."""
        rows = self.index.of(episode.index)
        numbers = range(episode.length) if wanted is None else wanted
        if self.features[column].dtype != "video":
            cells = self._cells(rows, column)
            for frame in numbers:
                yield self._decoded(rows, episode, column, frame, cells[frame])
            return
        part = self.part(episode, column)
        start_s = part.window.start_s + (0.0 if self.info.is_v3 else films.offset_s(films.look(part.file)))
        with video.FilmReader(part.file, self.fps) as film:
            for frame in numbers:
                yield film.at(start_s + frame / self.fps, f"{frame} of {episode.length}")

    def images(self, episode: EpisodeMeta, column: str) -> np.ndarray:
        """u8 [T, H, W, 3], as `frames`."""
        return np.stack(list(self.frames(episode, column)))

    def encoded(self, episode: EpisodeMeta, column: str) -> Iterator[bytes]:
        """The pictures of an image column as they are kept."""
        rows = self.index.of(episode.index)
        for frame, cell in enumerate(self._cells(rows, column)):
            yield pictures.data_of(
                cell.as_py(), self.folder, rows.paths[int(rows.files[frame])], column, episode.index, frame
            )

    def _decoded(self, rows: EpisodeRows, episode: EpisodeMeta, column: str, frame: int, cell: Any) -> np.ndarray:
        file = rows.paths[int(rows.files[frame])]
        data = pictures.data_of(cell.as_py(), self.folder, file, column, episode.index, frame)
        try:
            return png.decode(data)
        except (OSError, ValueError, SyntaxError) as error:
            raise refused(
                file, f"{column} cannot be decoded ({str(error)[:80]})", leave_out(episode.index), expected="a whole picture",
                episode=episode.index, frame=frame,
            ) from error  # fmt: skip


def _number(value: Any) -> float | None:
    """None where it is none, or not finite (an empty cell of a table)."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))
    return float(value) if is_number else None
