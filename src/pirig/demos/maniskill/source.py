"""What a trajectory file holds, episode by episode, as digests: of whatever its demos depend on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from pirig.config.schema import DemosConfig
from pirig.contract import Contract
from pirig.demos import identity
from pirig.demos.maniskill.held_frames import slices
from pirig.files.digests import Digests
from pirig.files.identity import Identity
from pirig.files.progress import Progress
from pirig.foreign.text import read_json
from pirig.foreign.trajectory import TrajectoryFile, opened

NOT_OF_THE_EPISODE = ("episode_id", "elapsed_steps")  # of its entry in the sidecar: its number and what is counted


def asked_of(
    contract: Contract,
    source: str,
    path: Path,
    file: TrajectoryFile,
    demos: DemosConfig,
    folder: Path,
) -> Identity:
    """What decides the demos of a checked `file`'s successful episodes. Its digests are kept in `folder`, once that is there."""
    sidecar = path.with_suffix(".json")
    parts = Digests(folder).of(str(path.resolve()), [path, sidecar], lambda: _digests(file))
    return identity.asked_of(
        contract, source, min(demos.count, len(file.successful)), {"labels": demos.labels}, parts, place=path
    )


def _digests(file: TrajectoryFile) -> list[str]:
    told = read_json(file.sidecar)
    entries = {entry["episode_id"]: entry for entry in told["episodes"]}
    digests = []
    with opened(file.path) as held, Progress("read", len(file.successful)) as progress:
        for episode in file.successful:
            digest = _digest(held[episode.group], entries[episode.number], told["env_info"])
            digests.append(f"{episode.seed}:{digest}")
            progress.advance()
    return digests


def _digest(group: Any, entry: dict[str, Any], env_info: dict[str, Any]) -> str:
    """Of all arrays below the group, by name, and of what the sidecar says."""
    import h5py

    digest = hashlib.sha256()
    told = {key: value for key, value in entry.items() if key not in NOT_OF_THE_EPISODE}
    digest.update(json.dumps([told, env_info], sort_keys=True).encode())

    def add(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            digest.update(f"{name} {node.dtype} {node.shape}".encode())
            if node.dtype.hasobject or not node.shape:
                values = node[()]
                plain = hasattr(values, "tobytes") and not node.dtype.hasobject
                digest.update(values.tobytes() if plain else repr(values).encode())
                return
            for part in slices(node, len(node)):
                digest.update(np.ascontiguousarray(node[part]).data)

    group.visititems(add)
    return digest.hexdigest()[:16]
