"""What a trajectory file holds, episode by episode, as digests: of whatever its demos depend on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pirig.config.schema import DemosConfig
from pirig.contract import Contract
from pirig.demos import identity
from pirig.files.digests import Digests
from pirig.files.identity import Identity

NOT_OF_THE_EPISODE = ("episode_id", "elapsed_steps")  # of its entry in the sidecar: its number and what is counted


def asked_of(
    contract: Contract,
    source: str,
    path: Path,
    episodes: list[dict[str, Any]],
    demos: DemosConfig,
    folder: Path,
) -> Identity:
    """What decides the demos of a file's checked `episodes`. Its digests are kept in `folder`, once that is there."""
    sidecar = path.with_suffix(".json")
    parts = Digests(folder).of(str(path.resolve()), [path, sidecar], lambda: _digests(path, sidecar, episodes))
    return identity.asked_of(
        contract, source, min(demos.count, len(episodes)), {"labels": demos.labels}, parts, place=path
    )


def _digests(path: Path, sidecar: Path, episodes: list[dict[str, Any]]) -> list[str]:
    import h5py

    told = json.loads(sidecar.read_text()).get("env_info", {})
    with h5py.File(path) as file:
        groups = {entry["episode_seed"]: file[f"traj_{entry['episode_id']}"] for entry in episodes}
        return [f"{entry['episode_seed']}:{_digest(groups[entry['episode_seed']], entry, told)}" for entry in episodes]


def _digest(group: Any, entry: dict[str, Any], env_info: dict[str, Any]) -> str:
    """Of all arrays below the group, by name, and of what the sidecar says."""
    import h5py

    digest = hashlib.sha256()
    told = {key: value for key, value in entry.items() if key not in NOT_OF_THE_EPISODE}
    digest.update(json.dumps([told, env_info], sort_keys=True).encode())

    def add(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            values = node[()]
            digest.update(f"{name} {node.dtype} {node.shape}".encode())
            digest.update(values.tobytes() if hasattr(values, "tobytes") else repr(values).encode())

    group.visititems(add)
    return digest.hexdigest()[:16]
