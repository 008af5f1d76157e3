"""What demos are made from, and whether those in a folder are the ones that are asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pirig.contract import Contract
from pirig.demos.manifest import FILE_NAME, DemosManifest, read_tried
from pirig.files import identity
from pirig.files.identity import Extends, Identity, Same

KIND = "demos"
CODE = 1  # changes where the same source would give other episodes


def asked_of(
    contract: Contract,
    source: str,
    count: int,
    settings: Mapping[str, Any],
    parts: Sequence[str] = (),
    place: Path | None = None,
) -> Identity:
    """`count` demos by `source` (its name). `parts`: of a file, each episode that may be tried as "<seed>:<digest>"."""
    places = {"source": str(place.resolve())} if place else {}
    told = {"contract": recorded(contract).hash, "source": source, **settings}
    return Identity(KIND, settings=told, parts=tuple(parts), size=count, code=CODE, places=places)


def recorded(contract: Contract) -> Contract:
    """Without what is chosen or added when demos are converted, and later."""
    scenes = tuple(dataclasses.replace(scene, prompt="") for scene in contract.scenes)
    return dataclasses.replace(contract, scenes=scenes, state=(), state_dim=0, image_px=0, resize="")


def record_of(folder: Path) -> Path:
    return folder / identity.FILE_NAME


def relation_to(asked: Identity, folder: Path) -> Same | Extends | None:
    """How the demos in `folder` stand to what is asked for, None where there are none. Nothing is written.

    Raises IdentityError where they are others.
    """
    there = of_folder(asked, folder)
    if there is None:
        return None
    tried = _tried_of(folder, there)
    parts = there.parts[:tried]
    same_size = dataclasses.replace(asked, parts=asked.parts[: len(parts)])
    return identity.require(
        same_size, dataclasses.replace(there, parts=parts), folder, identity.move_away(folder.parent)
    )


def is_complete(asked: Identity, folder: Path) -> bool:
    """Raises IdentityError where the demos are others."""
    return isinstance(relation_to(asked, folder), Same) and (folder / FILE_NAME).is_file()


def of_folder(asked: Identity, folder: Path) -> Identity | None:
    """The record beside demos; for those from before there were records, what the folder itself says."""
    return identity.load(record_of(folder)) or _adopted(asked, folder)


def adopt(asked: Identity, folder: Path) -> Identity | None:
    """Writes the record of demos that have none, once; None where they have one."""
    if identity.load(record_of(folder)) is not None or (there := _adopted(asked, folder)) is None:
        return None
    there.keep(record_of(folder))
    return there


def _tried_of(folder: Path, there: Identity) -> int:
    """How many of the source's episodes were tried: the others may be changed as one likes."""
    if (folder / FILE_NAME).is_file():
        return DemosManifest.load(folder).tried
    seeds = [int(part.partition(":")[0]) for part in there.parts]
    tried = read_tried(folder)
    return max((number + 1 for number, seed in enumerate(seeds) if seed in tried), default=0)


def _adopted(asked: Identity, folder: Path) -> Identity | None:
    """The record that demos without one would have: seeds, source and first scene as the folder tells them, the rest as asked."""
    if not (folder / "contract.json").is_file():
        return None
    told = {**asked.settings, "contract": recorded(Contract.load(folder)).hash}
    how = "no record of what they were made from; taken for what is asked by"
    if not (folder / FILE_NAME).is_file():
        tried = list(read_tried(folder))
        parts = _parts_of(asked, tried, max(len(tried), 1))
        return dataclasses.replace(asked, settings=told, parts=parts, adopted=f"{how} contract and scenes")
    manifest = DemosManifest.load(folder)
    told["source"] = manifest.source
    if "first_seed" in told:
        told["first_seed"] = manifest.scenes[0] if manifest.scenes else min(told["first_seed"], *manifest.seeds)
    parts = _parts_of(asked, manifest.seeds, manifest.tried)
    said = f"{how} contract, source and scenes"
    return dataclasses.replace(asked, settings=told, parts=parts, size=manifest.kept, adopted=said)


def _parts_of(asked: Identity, seeds: Sequence[int], tried: int) -> tuple[str, ...]:
    """The source's first episodes, where these seeds lie among them in this order; else seeds that no source has."""
    if not asked.parts:
        return ()
    known = {int(part.partition(":")[0]): number for number, part in enumerate(asked.parts)}
    numbers = [known.get(seed, -1) for seed in seeds]
    if all(0 <= number < max(tried, 1) for number in numbers) and numbers == sorted(numbers):
        return asked.parts[:tried]
    return tuple(f"{seed}:unknown" for seed in seeds)
