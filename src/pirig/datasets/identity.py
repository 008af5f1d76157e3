"""What a data set is made from, and whether one that lies there is the one that is asked for."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pirig.config.places import META, Places
from pirig.config.recorded import takes_recording
from pirig.config.schema import Config, DemosConfig
from pirig.config.state_entries import state_entry
from pirig.contract import RECORDED, Contract
from pirig.demos.manifest import FILE_NAME as MANIFEST
from pirig.demos.manifest import IMAGE, LABEL, START, DemosManifest, episode_file
from pirig.files import identity
from pirig.files.digests import Digests
from pirig.files.identity import Extends, Identity, Same
from pirig.foreign.recording import is_recording

if TYPE_CHECKING:
    from pirig.datasets.recording import Recording

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
    if not takes_recording(config):
        if not (places.demos / MANIFEST).is_file():
            return None
        chosen = {"labels": config.demos.labels, "leave_out_wandering": config.demos.leave_out_wandering}
        return of_demos(places.demos, places.contract, **chosen)
    path = Path(config.demos.path or "")
    if not is_recording(path):
        return None
    from pirig.datasets.recording import open_recording

    recording = open_recording(path, config.demos.leave_out)
    return of_recording(recording, places.contract, config, Digests(places.data))


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


def of_recording(source: Recording, contract: Contract, config: Config, digests: Digests) -> Identity:
    """Of the episodes that are used, their columns and pictures, and where there are several their tasks; the recording's other
    files and columns do not count."""
    from pirig.datasets.from_recording import columns_of, sentences_of
    from pirig.datasets.recorded_numbers import read_as

    leave_out, data = config.demos.leave_out, config.data
    episodes = [episode for episode in source.episodes if episode.index not in set(leave_out)]
    columns = [*data.state, *data.actions]
    cameras = list(columns_of(contract, data).values())
    place = source.folder.resolve()
    name = " ".join([str(place), *columns, *cameras, *map(str, sorted(leave_out))])
    files = source.files_of(episodes, cameras)
    parts = digests.of(name, files, lambda: source.digests_of(episodes, columns, cameras))
    if len(contract.scenes) > 1:
        told_of = sentences_of(source, data)
        parts = [f"{part}:{identity.digest_of(told_of[int(part.partition(':')[0])])}" for part in parts]
    told = {"contract": contract.hash, "made by": "a recording", **read_as(data)}
    told |= {"pictures": cameras} if contract.simulator != RECORDED else {}
    return Identity(KIND, settings=told, parts=tuple(parts), code=CODE, places={"source": str(place)})


def relation_to(asked: Identity, places: Places, config: Config) -> Same | Extends | None:
    """How the data set that lies there stands to what is asked for, None where there is none. Nothing is written.

    Raises IdentityError where it is another.
    """
    there = of_folder(asked, places, config)
    if there is None:
        return None
    return identity.require(asked, there, places.data_set, identity.move_away(places.data_set))


def of_folder(asked: Identity, places: Places, config: Config) -> Identity | None:
    """The record in the data set; for one from before there were records, what its numbers say."""
    if not places.data_set.is_dir():
        return None
    return identity.load(record_of(places.data_set)) or _adopted(asked, places, config)


def adopt(asked: Identity, places: Places, config: Config) -> str:
    """Writes the record of a data set that has none, once; what is said of it, "" where it has one."""
    if identity.load(record_of(places.data_set)) is not None:
        return ""
    there = _adopted(asked, places, config)
    there.keep(record_of(places.data_set))
    return there.adopted


def _adopted(asked: Identity, places: Places, config: Config) -> Identity:
    """Its parts are those asked for whose seed, state and actions it holds."""
    from pirig.datasets.in_place import open_folder

    dataset = open_folder(places.data_set)
    contract = {**asked.settings, "contract": dataset.contract.hash}
    if asked.settings["made by"] == "demos":
        contract["labels"] = bool(dataset.labels)
        numbers = _numbers_of_demos(places, config.demos)
    else:
        contract |= {key: value for key, value in dataset.provenance.get("demos", {}).items() if key in contract}
        numbers = _numbers_of_recording(places, config)
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


def _numbers_of_recording(places: Places, config: Config) -> Any:
    from pirig.datasets import from_recording
    from pirig.datasets.recording import open_recording

    recording = open_recording(Path(config.demos.path or ""), config.demos.leave_out)
    recorded = from_recording.check(recording, places.contract, config)
    return lambda episode: (recorded[episode].state, recorded[episode].actions)
