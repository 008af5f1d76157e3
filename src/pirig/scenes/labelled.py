"""Random scenes of a task with labels: what is drawn, how it is known, and how it is read.

A set is a folder of shards, each whole or absent: `shard-00000/<role>.npy` u8 [SHARD, px, px, 3] at the model's size,
`labels.npz` f32 [SHARD, k] and `places.npz` f32 [SHARD, cameras, 2]. Scene n of a set follows from its number alone, so a set
grows without changing what is there.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shlex
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pirig.contract import Contract
from pirig.files import identity
from pirig.files.atomic import write_text
from pirig.files.identity import Identity
from pirig.scenes import moments
from pirig.scenes.moments import Moments
from pirig.transforms.images import pixels_digest

SHARD = 32  # scenes
GROUP = 8  # scenes for which the simulator keeps its bodies: sizes of objects change that often
KIND = "labelled scenes"
RECORD = "scenes.json"
LABELS, PLACES = "labels.npz", "places.npz"
METRES = "_m"  # how the names of labels end that are points of the world
VERSION = 4  # changes where the bytes of a set would
TORN = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile)  # what numpy says of a file that was cut off
NOT_SEEN = ("state", "state_dim", "action_dim", "action_layout", "gripper_open", "control_mode", "control_hz", "fps")


@dataclass(frozen=True)
class Drawn:
    """How scenes are drawn: `first_scene` and those after it, the arm at one of `joints` f32 [N, J] (rad; the fingers' in m)
    with normal noise of `noise_rad` on its first `arm_joints`. A share `near_demos` of them are a moment of one of `demos` in
    place of a reset, turned about the arm's base, GROUP of a demo at a time, whose bodies are then built once."""

    first_scene: int
    joints: np.ndarray
    noise_rad: float
    arm_joints: int = 7
    near_demos: float = 0.0
    demos: Sequence[Moments] = ()

    def pose(self, scene: int) -> np.ndarray:
        """The joints of a scene that is a reset, f32 [J]."""
        draw = np.random.default_rng([scene, VERSION])
        return self._near(self.joints[draw.integers(len(self.joints))], draw)

    def moment(self, scene: int) -> tuple[Moments, int, np.ndarray, np.ndarray] | None:
        """The demo that a scene is near, which of its moments, its joints f32 [J], and those once it is turned; None: a reset."""
        group = np.random.default_rng([(scene - self.first_scene) // GROUP, self.first_scene, VERSION])
        if group.random() >= self.near_demos:
            return None
        demo, draw = self.demos[group.integers(len(self.demos))], np.random.default_rng([scene, VERSION])
        moment = int(draw.integers(len(demo.joints)))
        joints = self._near(demo.joints[moment], draw)
        turned = joints.copy()
        turned[0] += np.float32(draw.uniform(-moments.TURN_RAD, moments.TURN_RAD))
        return demo, moment, joints, turned

    def _near(self, joints: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        pose = joints.astype(np.float32)
        pose[: self.arm_joints] += draw.normal(0.0, self.noise_rad, self.arm_joints).astype(np.float32)
        return pose

    def shard(self, number: int) -> range:
        first = self.first_scene + number * SHARD
        return range(first, first + SHARD)


def digest_of(contract: Contract, drawn: Drawn) -> str:
    """16 hex digits of what a set's bytes depend on: what is seen, where the arm may stand, and the code's version."""
    return hashlib.sha256(json.dumps(_told(contract, drawn), sort_keys=True).encode()).hexdigest()[:16]


def identity_of(contract: Contract, drawn: Drawn) -> Identity:
    """Of a set of any size: it grows at its end."""
    told = _told(contract, drawn)
    seen = told["contract"] | {"cameras": {camera["role"]: camera for camera in told["contract"]["cameras"]}}
    return Identity(KIND, settings={**told, "contract": seen, "version": None}, code=VERSION)


def _told(contract: Contract, drawn: Drawn) -> dict[str, Any]:
    seen = {name: value for name, value in dataclasses.asdict(contract).items() if name not in NOT_SEEN}
    seen |= {"scenes": contract.env_id, "angle_center_rad": ()}  # of the state: no picture shows it
    return {
        "version": VERSION,
        "contract": seen,
        "pixels": pixels_digest(contract.image_px, contract.resize),
        "first_scene": drawn.first_scene,
        "noise_rad": drawn.noise_rad,
        "joints": hashlib.sha256(np.ascontiguousarray(drawn.joints, np.float32).tobytes()).hexdigest(),
        **(_near_told(drawn) if drawn.near_demos else {}),
    }


def _near_told(drawn: Drawn) -> dict[str, Any]:
    return {"near_demos": drawn.near_demos, "demos": moments.digest_of(drawn.demos), "turn_rad": moments.TURN_RAD}


def shard_folder(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:05d}"


def shards_of(count: int) -> int:
    """How many hold `count` scenes."""
    return -(-count // SHARD)


class LabelledScenes:
    """`count` scenes of a folder: `labels` f32 [count, k] by name, NaN where the thing is out of sight; `images` by role as
    memory maps, one a shard; `places` f32 [count, cameras, 2] by the name of a label in metres: where the pictures of the cameras
    that stand still, in the order of their roles' names, have that point (x, y; -1 to 1 from edge to edge), NaN where not known.

    Raises ValueError where shards are missing or torn.
    """

    def __init__(self, folder: Path, count: int):
        self.folder, self.count = folder, count
        folders = [shard_folder(folder, number) for number in range(shards_of(count))]
        missing = [part.name for part in folders if not part.is_dir()]
        if missing:
            raise ValueError(f"{folder}: {len(missing)} of {len(folders)} shards are missing; run `pirig scenes` again")
        self.record = _record(folder)
        self.digest: str = self.record["digest"]
        self.roles: list[str] = self.record["roles"]
        parts = [_labels(part) for part in folders]
        for folder_of, part in zip(folders, parts, strict=True):
            if {name: array.shape for name, array in part.items()} != {n: a.shape for n, a in parts[0].items()}:
                raise _torn(folder_of, f"its labels are {', '.join(part)}, those of the first {', '.join(parts[0])}")
        self.labels = {name: np.concatenate([part[name] for part in parts])[:count] for name in parts[0]}
        pointed = [_arrays(part, PLACES) for part in folders]
        for folder_of, part in zip(folders, pointed, strict=True):
            if {name: array.shape for name, array in part.items()} != {n: a.shape for n, a in pointed[0].items()}:
                raise _torn(folder_of, f"its {PLACES} has not what that of the first has")
        self.places = {name: np.concatenate([part[name] for part in pointed])[:count] for name in pointed[0]}
        self.images = {role: [_images(part, role) for part in folders] for role in self.roles}
        self.shards = folders

    def content(self) -> str:
        """16 hex digits of the shards that lie there, large files by blocks."""
        names = [LABELS, PLACES, *(f"{role}.npy" for role in self.roles)]
        files = {f"{part.name}/{name}": part / name for part in self.shards for name in names}
        return identity.digest_of_tree(self.folder, files)


def _arrays(shard: Path, name: str) -> dict[str, np.ndarray]:
    try:
        with np.load(shard / name) as arrays:
            return {key: arrays[key] for key in arrays.files}
    except TORN as error:
        raise _torn(shard, f"{name}: {error}") from error


def _labels(shard: Path) -> dict[str, np.ndarray]:
    read = _arrays(shard, LABELS)
    if short := [name for name, rows in read.items() if rows.ndim != 2 or len(rows) != SHARD]:
        raise _torn(shard, f"{LABELS}: {short[0]} is {list(read[short[0]].shape)}, expected [{SHARD}, k]")
    return read


def _images(shard: Path, role: str) -> np.ndarray:
    file = shard / f"{role}.npy"
    try:
        frames = np.load(file, mmap_mode="r")
    except TORN as error:
        raise _torn(shard, f"{file.name}: {error}") from error
    if frames.ndim != 4 or len(frames) != SHARD or frames.dtype != np.uint8:
        raise _torn(shard, f"{file.name}: {frames.dtype} {list(frames.shape)}, expected uint8 [{SHARD}, px, px, 3]")
    return frames


def _torn(shard: Path, reason: str) -> ValueError:
    return ValueError(
        f"{shard}: labelled scenes are damaged ({reason}); remove this folder (rm -r {shlex.quote(str(shard))}) and run "
        "`pirig scenes` again, which renders it anew."
    )


def _record(folder: Path) -> dict[str, Any]:
    file = folder / RECORD
    try:
        told = json.loads(file.read_text())
        return {**told, "digest": str(told["digest"]), "roles": [str(role) for role in told["roles"]]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        remedy = f"remove it (rm {shlex.quote(str(file))}) and run `pirig scenes` again; the shards are kept."
        raise ValueError(f"{file}: the record of labelled scenes cannot be read ({error}); {remedy}") from error


def claim(folder: Path, contract: Contract, drawn: Drawn) -> None:
    """Makes the folder this set's own, before the first shard; a set from before there were records gets one, once.

    Raises IdentityError where it is another set's: nothing is written.
    """
    asked, file = identity_of(contract, drawn), folder / identity.FILE_NAME
    there, digest = identity.load(file), digest_of(contract, drawn)
    if there is None and (folder / RECORD).is_file():
        known = _record(folder)["digest"]
        told = asked.settings if known == digest else {**asked.settings, "digest": known}
        there = dataclasses.replace(asked, settings=told, adopted=f"known by the digest in {RECORD}")
    if there is not None:
        identity.require(asked, there, folder, identity.move_away(folder))
    if not (folder / RECORD).is_file():
        record = {
            "digest": digest,
            "env_id": contract.env_id,
            "roles": sorted(camera.role for camera in contract.cameras),
            "first_scene": drawn.first_scene,
            "noise_rad": drawn.noise_rad,
            "poses": len(drawn.joints),
        }
        write_text(folder / RECORD, json.dumps(record, indent=2) + "\n")
    (there or asked).keep(file)
