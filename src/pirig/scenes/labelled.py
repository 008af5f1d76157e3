"""Random scenes of a task with labels: what is drawn, how it is known, and how it is read.

A set is a folder of shards, each whole or absent: `shard-00000/<role>.npy` u8 [SHARD, px, px, 3] at the model's size and
`labels.npz` f32 [SHARD, k]. Scene n of a set follows from its number alone, so a set grows without changing what is there.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pirig.contract import Contract
from pirig.files.atomic import write_text
from pirig.transforms.images import pixels_digest

SHARD = 32  # scenes
RECORD = "scenes.json"
LABELS = "labels.npz"
VERSION = 1  # changes where the bytes of a set would
NOT_SEEN = ("state", "state_dim", "action_dim", "action_layout", "gripper_open", "control_mode", "control_hz", "fps")


@dataclass(frozen=True)
class Drawn:
    """How scenes are drawn: `first_scene` and those after it, the arm at one of `joints` f32 [N, J] (rad; the fingers' in m)
    with normal noise of `noise_rad` on its first `arm_joints`."""

    first_scene: int
    joints: np.ndarray
    noise_rad: float
    arm_joints: int = 7

    def pose(self, scene: int) -> np.ndarray:
        """The joints of a scene, f32 [J]."""
        draw = np.random.default_rng([scene, VERSION])
        pose = self.joints[draw.integers(len(self.joints))].astype(np.float32)
        pose[: self.arm_joints] += draw.normal(0.0, self.noise_rad, self.arm_joints).astype(np.float32)
        return pose

    def shard(self, number: int) -> range:
        first = self.first_scene + number * SHARD
        return range(first, first + SHARD)


def digest_of(contract: Contract, drawn: Drawn) -> str:
    """16 hex digits of what a set's bytes depend on: what is seen, where the arm may stand, and the code's version."""
    seen = {name: value for name, value in dataclasses.asdict(contract).items() if name not in NOT_SEEN}
    seen["scenes"] = contract.env_id
    told = {
        "version": VERSION,
        "contract": seen,
        "pixels": pixels_digest(contract.image_px, contract.resize),
        "first_scene": drawn.first_scene,
        "noise_rad": drawn.noise_rad,
        "joints": hashlib.sha256(np.ascontiguousarray(drawn.joints, np.float32).tobytes()).hexdigest(),
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def shard_folder(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:05d}"


def shards_of(count: int) -> int:
    """How many hold `count` scenes."""
    return -(-count // SHARD)


class LabelledScenes:
    """`count` scenes of a folder: `labels` f32 [count, k] by name, `images` by role as memory maps, one a shard.

    Raises ValueError where shards are missing.
    """

    def __init__(self, folder: Path, count: int):
        self.folder, self.count = folder, count
        folders = [shard_folder(folder, number) for number in range(shards_of(count))]
        missing = [part.name for part in folders if not part.is_dir()]
        if missing:
            raise ValueError(f"{folder}: {len(missing)} of {len(folders)} shards are missing; run `pirig scenes` again")
        self.record = json.loads((folder / RECORD).read_text())
        self.digest: str = self.record["digest"]
        self.roles: list[str] = self.record["roles"]
        parts = []
        for part in folders:
            with np.load(part / LABELS) as arrays:
                parts.append({name: arrays[name] for name in arrays.files})
        self.labels = {name: np.concatenate([part[name] for part in parts])[:count] for name in parts[0]}
        self.images = {role: [np.load(part / f"{role}.npy", mmap_mode="r") for part in folders] for role in self.roles}


def write_record(folder: Path, contract: Contract, drawn: Drawn) -> None:
    """Before the first shard. Raises ValueError where the folder is another set's."""
    digest, file = digest_of(contract, drawn), folder / RECORD
    if file.is_file():
        theirs = json.loads(file.read_text())["digest"]
        if theirs != digest:
            raise ValueError(f"{folder} holds the scenes {theirs}, these would be {digest}; move it aside")
        return
    record = {
        "digest": digest,
        "env_id": contract.env_id,
        "roles": sorted(camera.role for camera in contract.cameras),
        "first_scene": drawn.first_scene,
        "noise_rad": drawn.noise_rad,
        "poses": len(drawn.joints),
    }
    write_text(file, json.dumps(record, indent=2) + "\n")
