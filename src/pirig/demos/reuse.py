"""Planned demos of the same scenes that lie beside these: 200 of them need not be planned again for 500, or for another state."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

from pirig.config.state_entries import state_entry
from pirig.contract import FILE_NAME, Contract
from pirig.demos.manifest import LABEL, DemosManifest, append_tried, episode_file, read_episode, read_tried


def take_over(
    contract: Contract, source: str, seeds: list[int], count: int, folder: Path, *, labels: bool = False
) -> int:
    """Links into `folder` what other data sets of the same root know of `seeds`: up to `count` episodes, and seeds that failed.

    A data set serves where it is complete and from the same `source`, where its contract differs in nothing that a demo records,
    and where its episodes hold what the state is made of and, if asked for, labels. Returns the number of episodes that were
    taken over.
    """
    lengths, others = read_tried(folder), _others(contract, source, folder)
    taken = 0
    for seed in seeds:
        if sum(map(bool, lengths.values())) >= count:
            break
        for other, tried in others.items():
            if seed in lengths or seed not in tried:
                continue
            if tried[seed] and not _link(contract, episode_file(other, seed), episode_file(folder, seed), labels):
                continue
            lengths[seed] = tried[seed]
            append_tried(folder, seed, lengths[seed])
            taken += bool(lengths[seed])
    return taken


def _others(contract: Contract, source: str, folder: Path) -> dict[Path, dict[int, int]]:
    """The other demos of the same scenes, each with the seeds that it knows."""
    folders = [path.parent for path in sorted(folder.parent.parent.glob(f"*/{folder.name}/{FILE_NAME}"))]
    return {other: read_tried(other) for other in folders if other != folder and _same_scenes(contract, source, other)}


def _same_scenes(contract: Contract, source: str, other: Path) -> bool:
    try:
        their_contract, made_by = Contract.load(other), DemosManifest.load(other).source
    except ValueError:
        return False  # unfinished, of another version, or torn: not ours to judge here
    return made_by == source and _recorded(their_contract) == _recorded(contract)


def _recorded(contract: Contract) -> Contract:
    """Without what is chosen or added when demos are converted, and later."""
    scenes = tuple(dataclasses.replace(scene, prompt="") for scene in contract.scenes)
    return dataclasses.replace(contract, scenes=scenes, state=(), state_dim=0, image_px=0, resize="")


def _link(contract: Contract, source: Path, target: Path, labels: bool) -> bool:
    """False where the episode is gone, torn, or lacks an entry. A hard link, or a copy where the file system has none."""
    needed = {state_entry(entry).array for entry in contract.state}
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        names = set(read_episode(source))
        if not needed <= names or (labels and not any(name.startswith(LABEL) for name in names)):
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
