"""A recorded LeRobot data set trained on as it lies: its numbers in the contract's units, its pictures where they are.

What is kept of ours is a folder with meta/pirig alone: contract, provenance, numbers, and where the recording lies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from pirig.config.places import META, Places
from pirig.config.schema import Config
from pirig.contract import Contract
from pirig.datasets import from_recording
from pirig.datasets.lerobot.read import Dataset
from pirig.datasets.lerobot.source import LeRobotSource
from pirig.datasets.lerobot.write import PROVENANCE
from pirig.datasets.pictures.video import FilmReader
from pirig.files import identity
from pirig.files.atomic import staging_folder
from pirig.files.identity import Identity
from pirig.files.records import read_record
from pirig.foreign import films
from pirig.foreign.lerobot import EpisodeMeta
from pirig.foreign.ours import read_provenance

PLACE, NUMBERS = "in_place.json", "numbers.npz"  # below META


def make(places: Places, config: Config, asked: Identity) -> None:
    """After every check of a conversion. Raises ValueError where the recording does not fit, or is none of LeRobot's."""
    folder = Path(config.demos.path or "")
    source = from_recording.open_recording(folder, config.demos.leave_out)
    if not isinstance(source, LeRobotSource):
        raise ValueError(f"{folder}: {source.kind} episodes cannot be read in place; give dataset.format=v3.0")
    recorded = from_recording.check(source, places.contract, config)
    lengths = [len(one.actions) for one in recorded]
    frames = [np.arange(len(one.actions)) if one.frames is None else one.frames for one in recorded]
    told = from_recording.provenance(source, places.contract, config, len(recorded))
    told |= {"lengths": lengths, "seeds": [one.episode.index for one in recorded]}
    told |= {"tasks": [one.task for one in recorded]} if len(places.contract.scenes) > 1 else {}
    told |= {"content_sha256": identity.digest_of([asked.settings, list(asked.parts)])}
    columns = from_recording.columns_of(places.contract, config.data)
    with staging_folder(places.data_set) as staging:
        meta = staging / META
        meta.mkdir(parents=True)
        places.contract.save(meta)
        state, actions = (np.concatenate([getattr(one, name) for one in recorded]) for name in ("state", "actions"))
        np.savez(meta / NUMBERS, state=state, actions=actions, frames=np.concatenate(frames))
        (meta / PROVENANCE).write_text(json.dumps(told, indent=2) + "\n")
        place = {"recording": str(source.folder.resolve()), "columns": columns}
        (meta / PLACE).write_text(json.dumps(place, indent=2) + "\n")
    kinds = {source.features[column].dtype for column in columns.values()}
    print(
        f"convert: nothing to convert: {source.folder} ({source.kind}, {' and '.join(sorted(kinds))}) is read where it lies, "
        "which loses nothing",
        flush=True,
    )


class InPlace(Dataset):
    """See Dataset. Raises ValueError where the recording is gone, or an episode has not the frames that it had."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        meta = self.folder / META
        self.contract = Contract.load(meta)
        self.provenance = read_provenance(meta / PROVENANCE)
        place = read_record(meta / PLACE, "recording", "columns")
        self.recording = Path(place["recording"])
        self.columns: Mapping[str, str] = place["columns"]
        self.lengths, self.seeds = list(self.provenance["lengths"]), list(self.provenance["seeds"])
        self.offsets = [0, *np.cumsum(self.lengths).tolist()[:-1]]
        with np.load(meta / NUMBERS) as arrays:
            self.state, self.actions, self._frames = (arrays[name] for name in ("state", "actions", "frames"))
        self.labels, self.starts = {}, [None] * len(self.lengths)
        self.tasks = list(self.provenance["tasks"]) if len(self.contract.scenes) > 1 else []
        self._source: LeRobotSource | None = None
        self._cells: tuple[str, int, list[bytes]] = ("", -1, [])
        self._film: tuple[Path | None, FilmReader | None] = (None, None)

    @property
    def source(self) -> LeRobotSource:
        if self._source is None:
            if not self.recording.is_dir():
                raise ValueError(
                    f"{self.folder}: its pictures lie in {self.recording}, which is not there; put it back, or convert it "
                    "with dataset.format=v3.0"
                )
            self._source = LeRobotSource(self.recording)
        return self._source

    @property
    def has_films(self) -> bool:
        return any(self.source.features[column].dtype == "video" for column in self.columns.values())

    def as_kept(self, role: str, image: np.ndarray) -> np.ndarray:
        return image

    def picture(self, role: str, index: int) -> bytes | np.ndarray:
        """Frame `index` as it is kept there: an encoded picture, or of a film u8 [H, W, 3]. Reading in order is fastest."""
        if not 0 <= index < self.frame_count:
            raise IndexError(f"frame {index} of a data set of {self.frame_count} frames")
        if role not in self.columns:
            raise ValueError(f"{self.folder} has no camera {role!r}; it has {', '.join(self.roles)}")
        column, frame = self.columns[role], int(self._frames[index])
        number = self.seeds[int(np.searchsorted(self.offsets, index, side="right")) - 1]
        if self.source.features[column].dtype == "video":
            return self._of_film(column, number, frame)
        if self._cells[:2] != (column, number):
            self._cells = (column, number, list(self.source.encoded(self._episodes[number], column)))
        return self._cells[2][frame]

    def _of_film(self, column: str, number: int, frame: int) -> np.ndarray:
        part = self.source.part(self._episodes[number], column)
        if self._film[0] != part.file:
            if self._film[1] is not None:
                self._film[1].close()
            self._film = (part.file, FilmReader(part.file, self.source.fps))
        start_s = part.window.start_s + (0.0 if self.source.info.is_v3 else films.offset_s(films.look(part.file)))
        assert self._film[1] is not None
        return self._film[1].at(start_s + frame / self.source.fps, f"{frame} of episode {number}")

    @cached_property
    def _episodes(self) -> dict[int, EpisodeMeta]:
        return {episode.index: episode for episode in self.source.episodes}


def open_folder(folder: Path) -> Dataset:
    """A data set of pirig's, or one that is read in place."""
    return InPlace(folder) if (Path(folder) / META / PLACE).is_file() else Dataset(folder)
