"""What a data set is made from, and whether one that lies there is the one that is asked for."""

from __future__ import annotations

import dataclasses
import hashlib
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pirig.config.places import META, Places
from pirig.config.schema import Config, DemosConfig
from pirig.config.state_entries import state_entry
from pirig.contract import Contract
from pirig.demos.manifest import FILE_NAME as MANIFEST
from pirig.demos.manifest import IMAGE, LABEL, START, DemosManifest, episode_file
from pirig.files import identity
from pirig.files.digests import Digests
from pirig.files.identity import Extends, Identity, Same

if TYPE_CHECKING:
    from pirig.datasets.lerobot_source import LeRobotSource
    from pirig.foreign.lerobot import EpisodeMeta as Episode

KIND = "data set"
CODE = 1  # changes where the same episodes would become another data set
UNREAD = "its pictures were not compared"


def record_of(data_set: Path) -> Path:
    return data_set / META / identity.FILE_NAME


def asked_of(config: Config, places: Places) -> Identity | None:
    """Of one task's data set. None where nothing can be asked: its demos, or the recording, are gone or not made yet."""
    asked = _asked_of(config, places)
    films = {"films": config.dataset.films} if config.dataset.films else {}
    return dataclasses.replace(asked, settings={**asked.settings, **films}) if asked else None


def _asked_of(config: Config, places: Places) -> Identity | None:
    if config.robot.simulated:
        if not (places.demos / MANIFEST).is_file():
            return None
        chosen = {"labels": config.demos.labels, "leave_out_wandering": config.demos.leave_out_wandering}
        return of_demos(places.demos, places.contract, **chosen)
    folder = Path(config.demos.path or "")
    if not (folder / "meta/info.json").is_file():
        return None
    from pirig.datasets.lerobot_source import LeRobotSource

    return of_recording(LeRobotSource(folder), places.contract, config.demos, Digests(places.data))


def of_demos(folder: Path, contract: Contract, *, labels: bool, leave_out_wandering: bool = False) -> Identity | None:
    """None where an episode's file is missing."""
    manifest = DemosManifest.load(folder)
    seeds = kept_seeds(manifest, leave_out_wandering)
    files = [episode_file(folder, seed) for seed in seeds]
    if not all(file.is_file() for file in files):
        return None
    arrays = {"actions", *(state_entry(entry).array for entry in contract.state)}
    arrays |= {f"{IMAGE}{camera.role}" for camera in contract.cameras}
    prefixes = (START, LABEL) if labels else (START,)
    digests = (_digest_of_npz(file, arrays, prefixes) for file in files)
    parts = tuple(f"{seed}:{digest}" for seed, digest in zip(seeds, digests, strict=True))
    settings = {"contract": contract.hash, "made by": "demos", "labels": labels}
    settings |= {"leave_out_wandering": True} if leave_out_wandering else {}
    return Identity(KIND, settings=settings, parts=parts, code=CODE, places={"source": str(folder.resolve())})


def kept_seeds(manifest: DemosManifest, leave_out_wandering: bool) -> list[int]:
    """Of the demos that become episodes."""
    wandering = manifest.wandering() if leave_out_wandering else {}
    return [seed for seed in manifest.seeds if seed not in wandering]


def _digest_of_npz(file: Path, arrays: Iterable[str], prefixes: tuple[str, ...]) -> str:
    """By the checksums that a zip keeps of its members, so that no array is read. Raises ValueError where it is torn."""
    wanted = set(arrays)
    try:
        with zipfile.ZipFile(file) as packed:
            members = [(entry.filename.removesuffix(".npy"), entry.CRC, entry.file_size) for entry in packed.infolist()]
    except (OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file}: truncated ({error}); delete it and run `pirig demos` again") from error
    used = sorted(entry for entry in members if entry[0] in wanted or entry[0].startswith(prefixes))
    return identity.digest_of(used)


def of_recording(source: LeRobotSource, contract: Contract, settings: DemosConfig, digests: Digests) -> Identity:
    """Of the episodes that are used, their columns and pictures; the recording's other files and columns do not count."""
    episodes = [episode for episode in source.episodes if episode.index not in set(settings.leave_out)]
    columns = [*settings.state_columns, *settings.action_columns]
    cameras = [camera.sensor for camera in contract.cameras]
    place = source.folder.resolve()
    name = " ".join([str(place), *columns, *cameras, *map(str, sorted(settings.leave_out))])
    parts = digests.of(name, _files(source, episodes, cameras), lambda: _digests(source, episodes, columns, cameras))
    told = {
        "contract": contract.hash,
        "made by": "a recording",
        "state_columns": list(settings.state_columns),
        "action_columns": list(settings.action_columns),
        "angle_unit": settings.angle_unit,
        "gripper_max": settings.gripper_max,
    }
    return Identity(KIND, settings=told, parts=tuple(parts), code=CODE, places={"source": str(place)})


def _files(source: LeRobotSource, episodes: Sequence[Episode], cameras: list[str]) -> list[Path]:
    """Those that the episodes are read from. Raises ValueError where one is missing."""
    told = {file for file in (source.folder / "meta").rglob("*") if file.suffix in (".json", ".jsonl", ".parquet")}
    read = {file for episode in episodes for file in source.index.of(episode.index).used}
    read |= {source.part(episode, camera).file for episode in episodes for camera in _films(source, cameras)}
    return sorted(file for file in told | read if file.is_file())


def _digests(source: LeRobotSource, episodes: Sequence[Episode], columns: list[str], cameras: list[str]) -> list[str]:
    films: dict[Path, str] = {}
    return [f"{episode.index}:{_digest_of_episode(source, episode, columns, cameras, films)}" for episode in episodes]


def _digest_of_episode(
    source: LeRobotSource, episode: Episode, columns: list[str], cameras: list[str], films: dict[Path, str]
) -> str:
    digest = hashlib.sha256(f"{episode.length}".encode())
    for column in columns:
        digest.update(source.numbers(episode, [column]).tobytes())
    times_s = source.times_s(episode)
    digest.update(b"" if times_s is None else times_s.tobytes())
    for camera in cameras:
        if camera in _films(source, cameras):
            part = source.part(episode, camera)
            digest.update(f"{_digest_of_film(part.file, films)} {part.window.start_s}".encode())
            continue
        for picture in source.encoded(episode, camera):
            digest.update(picture)
    return digest.hexdigest()[:16]


def _films(source: LeRobotSource, cameras: list[str]) -> list[str]:
    return [camera for camera in cameras if source.features[camera].dtype == "video"]


def _digest_of_film(file: Path, films: dict[Path, str]) -> str:
    if file not in films:
        with open(file, "rb") as opened:
            films[file] = hashlib.file_digest(opened, "sha256").hexdigest()
    return films[file]


def relation_to(asked: Identity, places: Places, settings: DemosConfig) -> Same | Extends | None:
    """How the data set that lies there stands to what is asked for, None where there is none. Nothing is written.

    Raises IdentityError where it is another.
    """
    there = of_folder(asked, places, settings)
    if there is None:
        return None
    return identity.require(asked, there, places.data_set, identity.move_away(places.data_set))


def of_folder(asked: Identity, places: Places, settings: DemosConfig) -> Identity | None:
    """The record in the data set; for one from before there were records, what its numbers say."""
    if not places.data_set.is_dir():
        return None
    return identity.load(record_of(places.data_set)) or _adopted(asked, places, settings)


def adopt(asked: Identity, places: Places, settings: DemosConfig) -> str:
    """Writes the record of a data set that has none, once; what is said of it, "" where it has one."""
    if identity.load(record_of(places.data_set)) is not None:
        return ""
    there = _adopted(asked, places, settings)
    there.keep(record_of(places.data_set))
    return there.adopted


def _adopted(asked: Identity, places: Places, settings: DemosConfig) -> Identity:
    """Its parts are those asked for whose seed, state and actions it holds."""
    from pirig.datasets.lerobot_read import Dataset

    dataset = Dataset(places.data_set)
    contract = {**asked.settings, "contract": dataset.contract.hash}
    if asked.settings["made by"] == "demos":
        contract["labels"] = bool(dataset.labels)
        numbers = _numbers_of_demos(places, settings)
    else:
        contract |= {key: value for key, value in dataset.provenance.get("demos", {}).items() if key in contract}
        numbers = _numbers_of_recording(places, settings)
    parts = []
    for episode, seed in enumerate(dataset.seeds):
        rows, part = dataset.episode_rows(episode), f"{seed}:unknown"
        if episode < len(asked.parts) and asked.parts[episode].partition(":")[0] == str(seed):
            state, actions = numbers(episode)
            same = np.array_equal(state, dataset.state[rows]) and np.array_equal(actions, dataset.actions[rows])
            part = asked.parts[episode] if same else f"{seed}:other numbers"
        parts.append(part)
    said = f"no record of what it was made from; its numbers are those of {asked.places['source']}, {UNREAD}"
    return dataclasses.replace(asked, settings=contract, parts=tuple(parts), adopted=said)


def _numbers_of_demos(places: Places, settings: DemosConfig) -> Any:
    from pirig.datasets.from_demos import check_episode

    seeds = kept_seeds(DemosManifest.load(places.demos), settings.leave_out_wandering)
    return lambda episode: check_episode(episode_file(places.demos, seeds[episode]), places.contract)


def _numbers_of_recording(places: Places, settings: DemosConfig) -> Any:
    from pirig.datasets import from_lerobot
    from pirig.datasets.lerobot_source import LeRobotSource

    recorded = from_lerobot.check(LeRobotSource(Path(settings.path or "")), places.contract, settings)
    return lambda episode: (recorded[episode].state, recorded[episode].actions)
