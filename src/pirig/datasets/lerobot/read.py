"""Reads a LeRobot data set made by pirig, of each version and kind of pictures: numbers in memory, pictures on demand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pirig.config.places import META
from pirig.contract import Contract
from pirig.datasets.lerobot import v30
from pirig.datasets.lerobot.format import ACTION_KEY, LABEL_PREFIX, STATE_KEY, TASK_KEY, image_key
from pirig.datasets.lerobot.write import CORRECTIONS, FAILED, LAYOUTS, NO_SCENES, PROVENANCE, STARTS, prompts
from pirig.datasets.pictures import film_write, png
from pirig.datasets.pictures.film_pictures import FilmPictures
from pirig.foreign.kinds import INFO
from pirig.foreign.lerobot import Info, read_info
from pirig.foreign.ours import read_provenance
from pirig.foreign.text import read_json
from pirig.sim.door import State


class Dataset:
    """`state` f32 [N, S] and `actions` f32 [N, A] of all frames in order; `lengths` and `offsets` per episode.

    `labels` f32 [N, k] by name: privileged numbers of the simulator, which no policy sees; {} where none were recorded.
    `tasks`: of a contract of several tasks, which one each episode is of; else []. `starts`: the simulator's state before
    each episode's first frame, None where a reset to its scene gives it.

    `seeds` are the episodes' reset seeds, `provenance` is what the converter noted. Raises ValueError where the folder
    is no such data set, is of another version, or is damaged.
    """

    folder: Path
    contract: Contract
    lengths: list[int]
    offsets: list[int]  # row of each episode's first frame
    seeds: list[int]
    state: np.ndarray
    actions: np.ndarray
    labels: dict[str, np.ndarray]
    tasks: list[str]
    starts: list[State | None]
    _films: FilmPictures | None = None

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        if not (self.folder / INFO).is_file():
            raise ValueError(f"{self.folder}: no {INFO} of a pirig data set there; run `pirig convert`")
        _require_version(self.folder, read_info(self.folder))
        self.info = read_json(self.folder / INFO)
        self.contract = Contract.load(self.folder / META)
        self.provenance = read_provenance(self.folder / META / PROVENANCE)
        self.lengths, self.seeds = list(self.provenance["lengths"]), list(self.provenance["seeds"])
        self.offsets = [0, *np.cumsum(self.lengths).tolist()[:-1]]
        self._by_path = [(file, _open(file)) for file in sorted(self.folder.glob("data/*/*.parquet"))]
        self._files = [file for _, file in self._by_path]
        if not self._files:
            raise ValueError(f"{self.folder}/data: no .parquet file there; move the data set away and convert again")
        self._groups = _row_groups(self._files)
        self._loaded: tuple[str, int, pa.ChunkedArray] | None = None
        films = any(feature["dtype"] == "video" for feature in self.info["features"].values())
        self._films = FilmPictures(self.folder, self.lengths) if films else None
        self._read_numbers()
        self.tasks = self._read_tasks()
        self.starts = self._read_starts()

    def _read_numbers(self) -> None:
        labels = [key for key in self.info["features"] if key.startswith(LABEL_PREFIX)]
        tables = [_columns(file, path, [STATE_KEY, ACTION_KEY, *labels]) for path, file in self._by_path]
        rows = sum(table.num_rows for table in tables)
        told = {"meta/info.json": self.info.get("total_frames"), "provenance": sum(self.lengths)}
        wrong = [f"{name} says {count}" for name, count in told.items() if count != rows]
        if wrong:
            raise ValueError(f"{self.folder}: the data files hold {rows} frames, {' and '.join(wrong)}; convert again")
        whole = pa.concat_tables(tables)
        self.state, self.actions = (v30.as_matrix(whole[key]) for key in (STATE_KEY, ACTION_KEY))
        self.labels = {key.removeprefix(LABEL_PREFIX): v30.as_matrix(whole[key]) for key in labels}

    def _read_tasks(self) -> list[str]:
        """Raises ValueError where `task_index` names another sentence than the episode's task has."""
        if len(self.contract.scenes) == 1:
            return []
        tasks = list(self.provenance["tasks"])
        table_of_tasks = prompts(self.contract)
        told = {scene.task: table_of_tasks.index(scene.prompt) for scene in self.contract.scenes}
        column = np.concatenate([file.read(columns=[TASK_KEY])[TASK_KEY].to_numpy() for file in self._files])
        wrong = np.flatnonzero(column != np.repeat([told[task] for task in tasks], self.lengths))
        if len(wrong):
            episode = int(np.searchsorted(self.offsets, wrong[0], side="right")) - 1
            raise ValueError(
                f"{self.folder}: episode {episode} has {TASK_KEY} {column[wrong[0]]} in row {wrong[0]}, its task "
                f"{tasks[episode]} has {told[tasks[episode]]}; convert again"
            )
        return tasks

    def _read_starts(self) -> list[State | None]:
        file = self.folder / META / STARTS
        if not file.is_file():
            return [None] * self.episode_count
        with np.load(file) as arrays:
            states = {name: arrays[name] for name in arrays.files}
        wrong = {name: len(rows) for name, rows in states.items() if len(rows) != self.episode_count}
        if wrong:
            raise ValueError(f"{file}: {wrong} of {self.episode_count} episodes; convert again")
        return [
            self._start(file, one, {name: states[name][one] for name in states}) for one in range(self.episode_count)
        ]

    def _start(self, file: Path, episode: int, row: dict[str, np.ndarray]) -> State | None:
        """Without the NaN behind what is shorter than another task's; None where nothing else is there."""
        state = {name: part[: int(np.isfinite(part).sum())] for name, part in row.items()}
        torn = [name for name, part in state.items() if not np.isfinite(part).all()]
        if torn:
            raise ValueError(
                f"{file}: {torn[0]} of episode {episode} has a number that is not finite; expected a whole state; convert again"
            )
        return {name: part for name, part in state.items() if len(part)} or None

    @property
    def start_of_scene(self) -> dict[int, State]:
        """Of the episodes that start elsewhere than a reset to their scene does."""
        return {seed: start for seed, start in zip(self.seeds, self.starts, strict=True) if start is not None}

    @property
    def scenes_known(self) -> bool:
        """Whether `seeds` are scenes of the contract's simulator: who recorded elsewhere does not say in which it began."""
        return not getattr(self, "provenance", {}).get(NO_SCENES, False)

    @property
    def corrections(self) -> range:
        """Episodes behind the demos that a planner made from where a policy lost its way: statistics, episodes held out and step
        limits are the demos' alone."""
        count = len(getattr(self, "provenance", {}).get(CORRECTIONS, []))
        return range(self.episode_count - count, self.episode_count)

    @property
    def succeeded(self) -> list[int]:
        """Episodes that reached their goal: all of them, but for those of a policy that failed."""
        failed = set(getattr(self, "provenance", {}).get(FAILED, []))
        return [episode for episode in range(self.episode_count) if episode not in failed]

    @property
    def frame_count(self) -> int:
        return len(self.actions)

    @property
    def episode_count(self) -> int:
        return len(self.lengths)

    @property
    def roles(self) -> list[str]:
        return [camera.role for camera in self.contract.cameras]

    @property
    def content_hash(self) -> str:
        """SHA-256 of what was converted, noted by the writer."""
        return self.provenance["content_sha256"]

    def rows_without(self, episodes: Sequence[int]) -> np.ndarray:
        """Frame numbers of all other episodes, ascending."""
        kept = np.repeat(~np.isin(np.arange(self.episode_count), list(episodes)), self.lengths)
        return np.flatnonzero(kept)

    def episode_rows(self, episode: int) -> slice:
        """The rows of an episode, for `state` and `actions`."""
        return slice(self.offsets[episode], self.offsets[episode] + self.lengths[episode])

    def picture(self, role: str, index: int) -> bytes | np.ndarray:
        """Frame `index` (row of the data set) as it is kept: PNG bytes, or of a film u8 [H, W, 3].

        Reading in order is fastest: one episode's PNGs, and the place in a film, are kept.
        """
        if not 0 <= index < self.frame_count:
            raise IndexError(f"frame {index} of a data set of {self.frame_count} frames")
        if role not in self.roles:
            raise ValueError(f"{self.folder} has no camera {role!r}; it has {', '.join(self.roles)}")
        if self._films is not None:
            return self._films.at(image_key(role), index)
        group = int(np.searchsorted(self._groups[:, 0], index, side="right")) - 1
        if self._loaded is None or self._loaded[:2] != (role, group):
            self._loaded = (role, group, self._read_group(role, group))
        return self._loaded[2][index - int(self._groups[group, 0])]["bytes"].as_py()

    def _read_group(self, role: str, group: int) -> pa.ChunkedArray:
        _, file, row_group = self._groups[group]
        return self._files[file].read_row_group(row_group, columns=[image_key(role)])[0]

    def image(self, role: str, index: int) -> np.ndarray:
        """Frame `index`, decoded: u8 [H, W, 3]."""
        return png.decoded(self.picture(role, index))

    def column(self, key: str) -> np.ndarray:
        """[N] or [N, k] of a column of numbers that is neither state, action nor label. Raises ValueError where there is none."""
        whole = pa.concat_tables([_columns(file, path, [key]) for path, file in self._by_path])[key].combine_chunks()
        if not pa.types.is_fixed_size_list(whole.type):
            return whole.to_numpy(zero_copy_only=False)
        return v30.as_matrix(pa.chunked_array([whole]))

    @property
    def has_films(self) -> bool:
        return self._films is not None

    def as_kept(self, role: str, image: np.ndarray) -> np.ndarray:
        """A picture u8 [H, W, 3] as this data set would give it back: where pictures are films, with what encoding loses."""
        if self._films is None or image.shape[0] % 2 or image.shape[1] % 2:
            return image
        feature = self.info["features"][image_key(role)]
        return film_write.through(image, self.contract.fps, feature["info"]["video.codec"])


def _row_groups(files: list[pq.ParquetFile]) -> np.ndarray:
    """i64 [groups, 3]: first row, file, row group within the file."""
    groups, row = [], 0
    for number, file in enumerate(files):
        for group in range(file.num_row_groups):
            groups.append((row, number, group))
            row += file.metadata.row_group(group).num_rows
    return np.array(groups, np.int64).reshape(-1, 3)


def _open(file: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{file}: damaged or half-written ({error}); remove the data set and convert again") from error


def _columns(file: pq.ParquetFile, path: Path, names: list[str]) -> pa.Table:
    """Raises ValueError where one of them is missing, or the file is torn behind its index."""
    missing = [name for name in names if name not in file.schema_arrow.names]
    if missing:
        raise ValueError(f"{path}: no column {missing[0]!r}; move the data set away and convert again")
    try:
        return file.read(columns=names)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path}: damaged ({error}); move the data set away and convert again") from error


def _require_version(folder: Path, info: Info) -> None:
    if info.codebase_version not in LAYOUTS:
        raise ValueError(
            f"{folder}: a LeRobot data set of version {info.codebase_version}; this reader knows {', '.join(LAYOUTS)}"
        )
