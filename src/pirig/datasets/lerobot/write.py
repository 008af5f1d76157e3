"""Our writer of LeRobot data sets: resumable per episode, complete or absent, and cheap (see benchmarks/convert.py).

Episodes become parts in `.<name>.parts-<contract hash>` beside the data set; `finish` lays them out as LeRobot wants
(`layout`: a version is a module), checks the counts and renames.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pirig.config.places import META
from pirig.contract import Contract
from pirig.datasets import as_written
from pirig.datasets.lerobot import format as fmt
from pirig.datasets.lerobot import parts, v21, v30
from pirig.datasets.lerobot.layout import Description, Histogram
from pirig.datasets.lerobot.parts import Part
from pirig.datasets.pictures import film_write
from pirig.datasets.pictures.film_write import Loss
from pirig.datasets.pictures.png import decoded
from pirig.files.at_once import AtOnce, processors
from pirig.files.atomic import staging_folder
from pirig.files.space import require_space

if TYPE_CHECKING:
    from pirig.datasets.lerobot.read import Dataset

LAYOUTS = {v30.VERSION: v30.write, v21.VERSION: v21.write}
PROVENANCE = "provenance.json"
NO_SCENES = "scenes_unknown"  # of the provenance: the episodes' numbers are no scenes of the simulator
FAILED = "failed"  # key of it: numbers of the episodes that did not succeed, of a policy's own
CORRECTIONS = "corrections"  # key of it: what each of the last episodes corrects
STARTS = "starts.npz"  # beside it, where episodes start elsewhere than their scenes' resets do
NO_LABELS: Mapping[str, np.ndarray] = {}
PNG_SHARE = 0.8  # of the raw bytes: rendered pictures of 128 px; those of 256 px 0.5, a real camera's 0.6


@dataclass(frozen=True)
class Form:
    """`codec` "": pictures are PNGs in the tables, without loss; else films of this codec (film_write.ENCODERS)."""

    version: str = v30.VERSION
    codec: str = ""


USUAL = Form()


class LeRobotWriter:
    """``with LeRobotWriter(folder, contract) as writer: writer.add_episode(...); writer.finish({...})``.

    The order of `add_episode` is the order of the data set. An episode whose part is there from an earlier, killed
    run is not encoded again. Several are encoded at once, as many as memory takes (`files.at_once`): what goes wrong in one is
    raised by a later call. Raises FileExistsError where `folder` exists.

    `form`: LeRobot's version, and whether pictures are kept without loss or as films.
    """

    def __init__(self, folder: Path, contract: Contract, *, form: Form = USUAL) -> None:
        if folder.exists():
            raise FileExistsError(f"{folder} exists already; remove it or choose another name")
        if form.version not in LAYOUTS:
            raise ValueError(f"LeRobot version {form.version!r}: this writer knows {', '.join(LAYOUTS)}")
        for camera in contract.cameras if form.codec else ():
            film_write.require_even(camera.role, camera.width_px, camera.height_px)
        self.folder, self.contract, self.form = folder, contract, form
        kind = f"-{form.codec}" if form.codec else ""
        self.parts_folder = folder.with_name(f".{folder.name}.parts-{contract.hash}{kind}")
        self._asked: list[Part | Future[Part]] = []
        self._at_once = AtOnce("episode")
        self._pool = ThreadPoolExecutor(processors(), thread_name_prefix="png")

    def __enter__(self) -> LeRobotWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._at_once.__exit__(*error)
        self._pool.shutdown(wait=True, cancel_futures=True)

    @property
    def parts(self) -> list[Part]:
        """Of all episodes so far, in order; waits for those that are being encoded."""
        self._asked = [part if isinstance(part, Part) else part.result() for part in self._asked]
        return self._asked  # type: ignore[return-value]

    def require_space(self, frames: int) -> None:
        """Raises ValueError where the disk has no room for a data set of so many frames and for the parts that become it."""
        pixels = sum(camera.width_px * camera.height_px for camera in self.contract.cameras)
        there = sum(file.stat().st_size for file in self.parts_folder.glob("*"))
        needed = 2 * PNG_SHARE * 3 * pixels * frames - there
        require_space(self.folder, needed, "frames without loss, while they are written, need about")

    def reuse_episode(
        self,
        state: np.ndarray,
        actions: np.ndarray,
        *,
        seed: int,
        labels: Mapping[str, np.ndarray] = NO_LABELS,
        task: str = "",
        columns: Mapping[str, np.ndarray] = NO_LABELS,
    ) -> bool:
        """Takes the part that an earlier run finished, if there is one; so the caller need not read its images."""
        file = parts.part_file(self.parts_folder, seed, *_numbers(state, actions), labels, task, columns)
        if file.is_file():
            self._asked.append(parts.read(file))
        return file.is_file()

    def add_episode(
        self,
        images: Mapping[str, np.ndarray],
        state: np.ndarray,
        actions: np.ndarray,
        *,
        seed: int,
        labels: Mapping[str, np.ndarray] = NO_LABELS,
        task: str = "",
        columns: Mapping[str, np.ndarray] = NO_LABELS,
    ) -> None:
        """{role: u8 [T, H, W, 3]}, state f32 [T, S], actions f32 [T, A], {label: f32 [T, k]}.

        `task`: which of the contract's scenes it is of, where there are several; LeRobot's `task_index` follows from its prompt.
        `columns`: whatever else is to be kept of every frame, [T] or [T, k] by its name in the data set.

        Raises ValueError where they break the contract.
        """
        state, actions = _numbers(state, actions)
        if self.reuse_episode(state, actions, seed=seed, labels=labels, task=task, columns=columns):
            return
        self._check(images, state, actions, seed, {**labels, **columns})
        if task not in {scene.task for scene in self.contract.scenes}:
            known = ", ".join(scene.task or "none" for scene in self.contract.scenes)
            raise ValueError(f"episode of seed {seed}: task {task!r}, the contract knows {known}")
        frames = {camera.role: images[camera.role] for camera in self.contract.cameras}
        file = parts.part_file(self.parts_folder, seed, state, actions, labels, task, columns)
        films = (self.form.codec, self.contract.fps) if self.form.codec else None
        size = sum(pictures.nbytes for pictures in frames.values())
        asked = (file, seed, frames, state, actions, self._pool, labels, task, films, columns)
        self._asked.append(self._at_once.submit(size, parts.write, *asked))

    def copy_episode(self, dataset: Dataset, episode: int) -> None:
        """Takes an episode of a data set of the same contract, and of one task: PNGs as they are, what a film shows anew."""
        rows, seed = dataset.episode_rows(episode), dataset.seeds[episode]
        state, actions = _numbers(dataset.state[rows], dataset.actions[rows])
        labels = {name: np.ascontiguousarray(values[rows]) for name, values in dataset.labels.items()}
        if self.reuse_episode(state, actions, seed=seed, labels=labels):
            return
        numbers = range(rows.start, rows.stop)
        kept = {role: [dataset.picture(role, number) for number in numbers] for role in dataset.roles}
        pngs = {role: [png for png in held if isinstance(png, bytes)] for role, held in kept.items()}
        if self.form.codec or any(len(held) != len(actions) for held in pngs.values()):
            images = {role: np.stack([decoded(picture) for picture in held]) for role, held in kept.items()}
            self.add_episode(images, state, actions, seed=seed, labels=labels)
            return
        file = parts.part_file(self.parts_folder, seed, state, actions, labels)
        self._asked.append(parts.write_encoded(file, seed, pngs, state, actions, labels))

    def _check(
        self,
        images: Mapping[str, np.ndarray],
        state: np.ndarray,
        actions: np.ndarray,
        seed: int,
        labels: Mapping[str, np.ndarray],
    ) -> None:
        length, contract = len(actions), self.contract
        wanted: dict[str, tuple[int, ...]] = {"state": (length, contract.state_dim)}
        wanted["actions"] = (length, contract.action_dim)
        shapes: dict[str, tuple[int, ...]] = {"state": state.shape, "actions": actions.shape}
        for name, values in labels.items():
            wanted[name], shapes[name] = (length, *values.shape[1:]), values.shape
        for camera in contract.cameras:
            if camera.role not in images:
                raise ValueError(f"episode of seed {seed}: no images of camera {camera.role}")
            wanted[camera.role] = (length, camera.height_px, camera.width_px, 3)
            shapes[camera.role] = images[camera.role].shape
            if images[camera.role].dtype != np.uint8:
                raise ValueError(
                    f"episode of seed {seed}: {camera.role} is {images[camera.role].dtype}, expected uint8"
                )
        wrong = [
            f"{key} {list(shapes[key])}, expected {list(wanted[key])}" for key in wanted if shapes[key] != wanted[key]
        ]
        if wrong or not length:
            raise ValueError(f"episode of seed {seed}: {'; '.join(wrong) or 'it has no frames'}")

    def finish(self, provenance: Mapping[str, Any], *, starts: Mapping[str, np.ndarray] = NO_LABELS) -> None:
        """Lays the parts out, adds contract and provenance (with seeds and lengths), checks, renames, clears the parts.

        `starts` f32 [E, k] by name: the simulator's state before each episode, where a reset to its seed is another one.
        """
        if not self._asked:
            raise ValueError(f"{self.folder}: no episodes were added, there is nothing to write")
        description, digest = self._description(), hashlib.sha256()
        with staging_folder(self.folder) as staging:
            made = self.parts
            episodes = (self._laid_out(part, description, digest) for part in made)
            LAYOUTS[self.form.version](staging, description, episodes)
            ours = staging / META
            ours.mkdir(parents=True)
            self.contract.save(ours)
            record = {
                **provenance,
                "seeds": [part.seed for part in made],
                "lengths": [part.length for part in made],
                "content_sha256": digest.hexdigest(),
                **({"tasks": [part.task for part in made]} if len(self.contract.scenes) > 1 else {}),
            }
            (ours / PROVENANCE).write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
            if starts:
                np.savez(ours / STARTS, **starts)
            _require_rows(staging, sum(part.length for part in made))
            as_written.note(staging)
        shutil.rmtree(self.parts_folder, ignore_errors=True)

    def _description(self) -> Description:
        """Raises ValueError where the episodes have different labels or columns. Says what films have lost."""
        made = self.parts
        contract, labels, films = self.contract, made[0].labels, dict[str, dict[str, Any]]()
        for part in made:
            for what, theirs, ours in (("labels", part.labels, labels), ("columns", part.columns, made[0].columns)):
                if theirs != ours:
                    raise ValueError(f"episode of seed {part.seed}: {what} {theirs}, the first has {ours}")
        for role in made[0].losses:
            loss = sum((part.losses[role] for part in made), Loss())
            films[role] = film_write.described(made[0].film(role), contract.fps) | film_write.told(loss)
            print(f"convert: {role}: {film_write.sentence(self.form.codec, loss)}", flush=True)
        features = fmt.features(contract, labels, films, made[0].columns)
        return Description(features, contract.fps, contract.robot_uid, prompts(contract))

    def _laid_out(self, part: Part, description: Description, digest: Any) -> _LaidOut:
        for file in part.files:
            digest.update(file.read_bytes())
        told = {scene.task: scene.prompt for scene in self.contract.scenes}
        return _LaidOut(part, list(description.tasks).index(told[part.task]))


@dataclass(frozen=True)
class _LaidOut:
    """A part as an episode of a layout."""

    part: Part
    task: int

    @property
    def length(self) -> int:
        return self.part.length

    @property
    def task_index(self) -> np.ndarray:
        return np.full(self.part.length, self.task, np.int64)

    def columns(self) -> pa.Table:
        return pq.read_table(self.part.file).replace_schema_metadata(None)

    def films(self) -> Mapping[str, Path]:
        return {fmt.image_key(role): self.part.film(role) for role in self.part.losses}

    def histograms(self) -> Mapping[str, Histogram]:
        return {fmt.image_key(role): histogram for role, histogram in self.part.histograms.items()}


def prompts(contract: Contract) -> list[str]:
    """LeRobot's table of tasks: the contract's sentences, each once."""
    return list(dict.fromkeys(scene.prompt for scene in contract.scenes))


def _numbers(state: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.ascontiguousarray(state, np.float32), np.ascontiguousarray(actions, np.float32)


def _require_rows(folder: Path, expected: int) -> None:
    rows = sum(pq.read_metadata(file).num_rows for file in folder.glob("data/*/*.parquet"))
    if rows != expected:
        raise RuntimeError(f"{folder}: wrote {rows} rows instead of {expected}; is the disk full?")
