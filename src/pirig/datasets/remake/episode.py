"""An episode of somebody's data set as one of a new data set: its rows as they are, its pictures as they are wanted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from pirig.datasets.lerobot import format as fmt
from pirig.datasets.lerobot.layout import Histogram
from pirig.datasets.lerobot.source import LeRobotSource
from pirig.datasets.pictures import film_write, png
from pirig.datasets.pictures.film_write import Loss
from pirig.datasets.pictures.video import FilmReader
from pirig.foreign import films
from pirig.foreign.lerobot import OWN_COLUMNS, EpisodeMeta

TIME = "timestamp"
ON_TIME_S = 1e-4  # lerobot's own tolerance


class Box(NamedTuple):
    """The part of a picture that stays, in px."""

    left: int
    top: int
    width: int
    height: int

    def require_inside(self, name: str, size: tuple[int, int]) -> None:
        inside = self.left >= 0 and self.top >= 0 and self.width > 0 and self.height > 0
        if not inside or self.left + self.width > size[0] or self.top + self.height > size[1]:
            raise ValueError(
                f"--crop {name}={','.join(map(str, self))}: expected LEFT,TOP,WIDTH,HEIGHT inside its {size[0]} x {size[1]} px."
            )

    def shape(self, shape: Sequence[int], size: tuple[int, int]) -> list[int]:
        """The feature's shape then, in the order of its sides (channels first or last)."""
        height_place, width_place = _sides(list(shape), size)
        new = list(shape)
        new[height_place], new[width_place] = self.height, self.width
        return new

    def of(self, frame: np.ndarray) -> np.ndarray:
        return frame[self.top : self.top + self.height, self.left : self.left + self.width]


def _sides(shape: list[int], size: tuple[int, int]) -> tuple[int, int]:
    width, height = size
    for places in ((0, 1), (1, 2)):
        if [shape[place] for place in places] == [height, width]:
            return places
    return 1, 0  # [width, height, channels], told by its names


@dataclass(frozen=True)
class Column:
    """A feature that stays. `feature` as the new info.json has it; of pictures `size` (width, height) as they will be, else
    (0, 0)."""

    old: str
    new: str
    feature: Mapping[str, Any]
    was_film: bool
    is_film: bool
    size: tuple[int, int]
    crop: Box | None


@dataclass(frozen=True)
class Made:
    """A film of one episode. `loss`: None where it was copied; `described`: as info.json says it."""

    file: Path
    described: dict[str, Any]
    codec: str = ""
    loss: Loss | None = None


class Films:
    """The films of the new data set: copied where nothing changes, else encoded, with what that has lost."""

    def __init__(self, columns: Sequence[Column], codec: str | None) -> None:
        self.columns, self.codec = columns, codec
        self.losses: dict[str, Loss] = {}
        self.codecs: dict[str, str] = {}
        self.seen: dict[str, dict[str, Any]] = {}

    def make(self, source: LeRobotSource, episode: EpisodeMeta, column: Column, target: Path) -> Made:
        """The film of an episode: the source's own file, a part that was cut out of it, or a new one."""
        film = self._copied(source, episode, column, target) if column.was_film and column.crop is None else None
        if film is not None:
            return Made(film, film_write.described(film, source.fps))
        codec = self.codec or self._codec_of(source, episode, column)
        loss = film_write.encode(target, lambda: frames_of(source, episode, column), source.fps, codec)
        return Made(target, film_write.described(target, source.fps), codec, loss)

    def note(self, made: Mapping[str, Made]) -> None:
        """What was made of an episode, by feature; to be called in the order of the episodes."""
        for key, film in made.items():
            self.seen.setdefault(key, film.described)
            if film.loss is not None:
                self.losses[key] = self.losses.get(key, Loss()) + film.loss
                self.codecs[key] = film.codec

    def _copied(self, source: LeRobotSource, episode: EpisodeMeta, column: Column, target: Path) -> Path | None:
        """None where it is to be of another codec, or cannot be cut out without encoding it."""
        if self.codec and self._codec_of(source, episode, column) != self.codec:
            return None
        part = source.part(episode, column.old)
        if not source.info.is_v3:
            return part.file
        copied = film_write.cut(part.file, target, part.window.start_s, episode.length, source.fps)
        return target if copied else None

    def _codec_of(self, source: LeRobotSource, episode: EpisodeMeta, column: Column) -> str:
        """That of the source's film, or the usual one where it is of another kind, or no film."""
        if not column.was_film:
            return film_write.USUAL_CODEC
        told = film_write.described(source.part(episode, column.old).file, source.fps)["video.codec"]
        return told if told in film_write.ENCODERS else film_write.USUAL_CODEC

    def told(self, sources: Sequence[LeRobotSource]) -> dict[str, dict[str, Any]]:
        """What info.json says of each film: what its source said where it was copied, and what was lost where it was not."""
        from pirig.foreign.text import read_json

        told = {}
        for column in self.columns:
            if not column.is_film:
                continue
            raw = [read_json(source.meta.info_file)["features"][column.old] for source in sources]
            before = [one.get("info") or one.get("video_info") for one in raw]
            loss = self.losses.get(column.new)
            if loss is None and before[0] and all(one == before[0] for one in before):
                told[column.new] = before[0]
            else:
                told[column.new] = self.seen[column.new] | (film_write.told(loss) if loss else {})
        return told

    @property
    def said(self) -> list[str]:
        return [f"{key}: {film_write.sentence(self.codecs[key], loss)}" for key, loss in self.losses.items()]


def frames_of(source: LeRobotSource, episode: EpisodeMeta, column: Column) -> Iterator[np.ndarray]:
    """u8 [H, W, 3] of each frame, cropped; one at a time."""
    for frame in source.frames(episode, column.old):
        yield column.crop.of(frame) if column.crop else frame


class RemadeEpisode:
    """One of a layout's episodes (`lerobot.layout.Episode`), once it is `prepared`. Its films lie in `place` until `clear`."""

    def __init__(
        self, source: LeRobotSource, episode: EpisodeMeta, *, sentences: Sequence[str], films: Films, place: Path
    ) -> None:
        self.source, self.episode, self.sentences = source, episode, list(sentences)
        self._films, self.place, self.columns_kept = films, place, films.columns
        self.made: dict[str, Made] = {}
        self._histograms: dict[str, Histogram] = {}
        self._table = pa.table({})

    @property
    def bytes_held(self) -> float:
        """Of memory, roughly, while it is prepared and until it is cleared."""
        shown = [(column.size[0] * column.size[1] * 3, column.is_film) for column in self.columns_kept]
        few = len(fmt.sampled(self.length))
        return sum(size * (few if is_film else few + self.length) for size, is_film in shown)

    def prepared(self) -> RemadeEpisode:
        """All that costs time; of several episodes at once."""
        self._table = self._columns()
        for column in self.columns_kept:
            if column.is_film:
                target = self.place / f"{column.new}.mp4"
                self.made[column.new] = self._films.make(self.source, self.episode, column, target)
        for column in self.columns_kept:
            if column.size != (0, 0):
                self._histograms[column.new] = self._histogram(column)
        return self

    @property
    def length(self) -> int:
        return self.episode.length

    @property
    def task_index(self) -> np.ndarray:
        rows, tasks = self.source.index.of(self.episode.index), self.source.meta.tasks
        if rows.task_index is None or not tasks:
            sentence = self.episode.tasks[0] if self.episode.tasks else ""
            return np.full(self.length, self.sentences.index(sentence), np.int64)
        number = {index: self.sentences.index(tasks[index]) for index in set(rows.task_index.tolist())}
        return np.array([number[int(index)] for index in rows.task_index], np.int64)

    def columns(self) -> pa.Table:
        return self._table

    def _columns(self) -> pa.Table:
        table: dict[str, Any] = {}
        for column in self.columns_kept:
            if column.is_film or (column.old in OWN_COLUMNS and column.old != TIME):
                continue
            if column.size == (0, 0):
                if column.old != TIME or self._on_time():
                    table[column.new] = self.source.cells(self.episode, column.old)
            elif column.was_film or column.crop:
                table[column.new] = fmt.images([png.encode(frame) for frame in self._seen(column)])
            else:
                table[column.new] = self._cells_of_pictures(column)
        return pa.table(table) if table else pa.table({"": pa.nulls(self.length)}).drop_columns([""])

    def _on_time(self) -> bool:
        """Whether the source's times are frames of its rate from 0, as lerobot asks for; others are written anew."""
        times = self.source.times_s(self.episode)
        if times is None or self.source.features[TIME].dtype != "float32":
            return False
        return bool((np.abs(times - np.arange(self.length) / self.source.fps) < ON_TIME_S).all())

    def _cells_of_pictures(self, column: Column) -> pa.Array | pa.ChunkedArray:
        """The bytes as they are; those that lie in files of their own are taken into the table."""
        cells = self.source.cells(self.episode, column.old)
        if cells.type == fmt.IMAGE_TYPE and all(cell["bytes"].is_valid for cell in cells):
            return cells
        return fmt.images(list(self.source.encoded(self.episode, column.old)))

    def _seen(self, column: Column) -> Iterator[np.ndarray]:
        """Its frames; some of them are counted into the histogram on the way."""
        chosen, kept = fmt.sampled(self.length), []
        for number, frame in enumerate(frames_of(self.source, self.episode, column)):
            if number in chosen:
                kept.append(frame)
            yield frame
        self._histograms[column.new] = fmt.image_histogram(np.stack(kept))

    def films(self) -> Mapping[str, Path]:
        return {key: film.file for key, film in self.made.items()}

    def histograms(self) -> Mapping[str, Histogram]:
        return self._histograms

    def _histogram(self, column: Column) -> Histogram:
        """Of the pictures as the new data set shows them."""
        if column.new in self._histograms:
            return self._histograms[column.new]
        chosen = sorted(fmt.sampled(self.length))
        if column.is_film:
            file = self.made[column.new].file
            start_s = films.offset_s(films.look(file))
            with FilmReader(file, self.source.fps) as film:
                frames = [film.at(start_s + number / self.source.fps) for number in chosen]
        else:
            pictures = list(self.source.encoded(self.episode, column.old))
            frames = [png.decode(pictures[number]) for number in chosen]
        return fmt.image_histogram(np.stack(frames))

    def clear(self) -> None:
        """Its columns and films; the episode is laid out."""
        self._table = pa.table({})
        for film in self.made.values():
            if film.file.parent == self.place:
                film.file.unlink(missing_ok=True)
        if self.place.is_dir():
            self.place.rmdir()
