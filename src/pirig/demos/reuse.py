"""Demos of the same scenes that lie beside these: 200 of them need not be made again for 500, or for another state."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from pirig.config.state_entries import state_entry
from pirig.contract import Contract
from pirig.demos.identity import of_folder
from pirig.demos.manifest import FILE_NAME as MANIFEST
from pirig.demos.manifest import LABEL, append_tried, episode_file, read_episode, read_tried
from pirig.files.identity import Identity


def take_over(contract: Contract, asked: Identity, seeds: list[int], count: int, folder: Path) -> int:
    """Links into `folder` what other data sets of the same root know of `seeds`: up to `count` episodes, and seeds that failed.

    A data set serves where it is complete and was made as `asked` is, but for its first scene, count and labels; of a file's
    episodes each one that is the same. Its episodes must hold what the state is made of and, if asked for, labels. Returns the
    number of episodes that were taken over.
    """
    lengths, others = read_tried(folder), _others(asked, folder)
    taken = 0
    for seed in seeds:
        if sum(map(bool, lengths.values())) >= count:
            break
        for other, tried in others.items():
            if seed in lengths or seed not in tried:
                continue
            if tried[seed] and not _link(contract, episode_file(other, seed), episode_file(folder, seed), asked):
                continue
            lengths[seed] = tried[seed]
            append_tried(folder, seed, lengths[seed])
            taken += bool(lengths[seed])
    return taken


def _others(asked: Identity, folder: Path) -> dict[Path, dict[int, int]]:
    """The other demos of the same source, each with the seeds that serve."""
    others = [path.parent for path in sorted(folder.parent.parent.glob(f"*/{folder.name}/{MANIFEST}"))]
    return {other: _serving(asked, other) for other in others if other != folder}


def _serving(asked: Identity, other: Path) -> dict[int, int]:
    """Seed -> length of what demos beside these have tried, without episodes that the source has otherwise now."""
    try:
        there, tried = of_folder(asked, other), read_tried(other)
    except ValueError:
        return {}  # of another version, or torn: not ours to judge here
    if there is None or _way(there) != _way(asked):
        return {}
    parts = set(asked.parts) & set(there.parts)
    same = {int(part.partition(":")[0]) for part in parts} if asked.parts else set(tried)
    return {seed: length for seed, length in tried.items() if seed in same}


def _way(made: Identity) -> dict[str, Any]:
    return {key: value for key, value in made.settings.items() if key not in ("first_seed", "labels")} | {"": made.code}


def _link(contract: Contract, source: Path, target: Path, asked: Identity) -> bool:
    """False where the episode is gone, torn, or lacks an entry. A hard link, or a copy where the file system has none."""
    needed = {state_entry(entry).array for entry in contract.state}
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        names = set(read_episode(source))
        if not needed <= names or (asked.settings.get("labels") and not any(name.startswith(LABEL) for name in names)):
            return False
    except ValueError:
        return False
    try:
        os.link(source, temporary)
    except FileNotFoundError:
        return False
    except OSError:
        shutil.copyfile(source, temporary)
    os.replace(temporary, target)
    return True
