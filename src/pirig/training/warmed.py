"""A tower that has been warmed up, in its folder: what it was made from, whether it is what is asked for, and how it is read."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pirig.config.schema import WarmUpConfig
from pirig.files import identity
from pirig.files.identity import Identity
from pirig.models.leaves import Tree, nest
from pirig.models.sizes import ModelConfig
from pirig.scenes.labelled import LabelledScenes

KIND = "tower"
VERSION = 2  # changes where what is learned would
WEIGHTS, RECORD = "weights.npz", "warm_up.json"
GUESSED = 0.7  # of the median error of whoever always says the mean: a label that is off by more was not learned


@dataclass(frozen=True)
class WarmedUp:
    """`tower`: its leaves below its root; `heads`: those of the labels, as the loss of kind labels has them at SCALE_M.

    `record`: what it was made from, and by label, mm or degrees, on held-out scenes: `errors`, median and 90th percentile, and
    `guess`, the median error of whoever always says the mean (none in a record from before 2026-11-27).
    """

    folder: Path
    tower: Tree
    heads: Tree
    record: dict[str, Any]

    def said(self) -> str:
        return f"warm-up: held-out scenes: {said_of(self.record['errors'])}{self._not_learned()}"

    def _not_learned(self) -> str:
        errors, guess = self.record["errors"], self.record.get("guess", {})
        close = [name for name in errors if name in guess and errors[name]["median"] > GUESSED * guess[name]]
        if not close:
            return ""
        told = ", ".join(f"{_thing(name)} (a guess is off by {guess[name]:.1f} {_unit(name)})" for name in close)
        return f"; not learned: {told}: more of tower.warm_up.steps, or a higher tower.warm_up.peak_lr"


def made_from(
    sets: Sequence[LabelledScenes],
    model: ModelConfig,
    settings: WarmUpConfig,
    labels: Sequence[str],
    turns: Mapping[str, int],
    alike: Sequence[Sequence[str]],
) -> dict[str, Any]:
    """All that decides what a tower learns, plain: its digest is the folder's name, and a record holds it."""
    told = {name: getattr(settings, name) for name in ("steps", "batch_size", "peak_lr", "held_out", "seed", "places")}
    return {
        "version": VERSION,
        "scenes": [[scenes.digest, scenes.count] for scenes in sets],
        "tower": model.tower,
        "config": dataclasses.asdict(model.image),  # type: ignore[call-overload]
        "width": model.vlm.width,
        "dtype": model.compute_dtype,
        "labels": list(labels),
        "turns": dict(turns),
        **({"alike": [list(group) for group in alike]} if alike else {}),
        **told,
    }


def name_of(made: Mapping[str, Any]) -> str:
    """16 hex digits."""
    return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:16]


def identity_of(made: Mapping[str, Any], sets: Sequence[LabelledScenes]) -> Identity:
    """`made` as `made_from` gives it, and the scenes by what lies there."""
    names = [f"scenes of task {number + 1}" for number in range(len(sets))]
    contents = {name: scenes.content() for name, scenes in zip(names, sets, strict=True)}
    places = {name: str(scenes.folder.resolve()) for name, scenes in zip(names, sets, strict=True)}
    return Identity(KIND, contents, _settings(made), code=made["version"], places=places)


def _settings(made: Mapping[str, Any]) -> dict[str, Any]:
    return {**made, "version": None, "scenes": [list(told) for told in made["scenes"]]}


def take(folder: Path, asked: Identity) -> WarmedUp:
    """The tower that lies there, and one line that says so. One from before there were records gets its record, once.

    Raises IdentityError where it was made from something else, ValueError where a file is torn.
    """
    there, adopted = identity.load(folder / identity.FILE_NAME), ""
    if there is None:
        adopted = f"; it had no record, what {RECORD} says of it is taken for one (its scenes were not compared)"
        made = _record(folder)["made_from"]
        told = dataclasses.replace(asked, settings=_settings(made), code=made["version"])
        there = dataclasses.replace(told, adopted=adopted.lstrip("; "))
    identity.require(asked, there, folder, identity.move_away(folder))
    if adopted:
        there.keep(folder / identity.FILE_NAME)
    warmed = load(folder)
    print(f"warm-up: {folder} is there already, of the same scenes{adopted}", flush=True)
    return warmed


def load(folder: Path) -> WarmedUp:
    """Raises ValueError where its files are torn or gone."""
    record, file = _record(folder), folder / WEIGHTS
    try:
        with np.load(file) as arrays:
            tree = nest({name: arrays[name] for name in arrays.files})
        warmed = WarmedUp(folder, tree["tower"], tree["heads"], record)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise _torn(file, folder, error) from error
    if not all(np.isfinite(leaf).all() for leaf in _leaves(tree)):
        raise _torn(file, folder, "numbers that are not finite")
    return warmed


def content_of(folder: Path) -> str:
    """16 hex digits of the weights that lie there now."""
    return identity.digest_of_tree(folder, {WEIGHTS: folder / WEIGHTS})


def _record(folder: Path) -> dict[str, Any]:
    file = folder / RECORD
    try:
        record = json.loads(file.read_text())
        record["made_from"]["version"], _settings(record["made_from"]), record["made_from"]["turns"]
        said_of(record["errors"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _torn(file, folder, error) from error
    return record


def _torn(file: Path, folder: Path, reason: Exception | str) -> ValueError:
    said = f"{type(reason).__name__}: {reason}" if isinstance(reason, Exception) else reason
    return ValueError(f"{file}: a tower that was warmed up is damaged ({said}). {identity.move_away(folder)}")


def _leaves(tree: Any) -> list[Any]:
    return [leaf for part in tree.values() for leaf in _leaves(part)] if isinstance(tree, dict) else [tree]


def said_of(errors: Mapping[str, Mapping[str, float]]) -> str:
    """For people, in the unit of each label's name."""

    def line(name: str, error: Mapping[str, float]) -> str:
        return f"{_thing(name)} off by {error['median']:.1f} {_unit(name)} (a tenth by more than {error['p90']:.1f})"

    return ", ".join(line(name, error) for name, error in errors.items())


def _thing(name: str) -> str:
    """cubeA_yaw_deg: cubeA's yaw."""
    return name.rpartition("_")[0].removesuffix("_position").replace("_yaw", "'s yaw")


def _unit(name: str) -> str:
    return name.rpartition("_")[2]
