"""Demos in LIBERO by the scripted expert: of a suite as many of each task; only what ends in success, and in time, is kept."""

from __future__ import annotations

import math
from pathlib import Path

from pirig.config.schema import DemosConfig, TaskConfig
from pirig.contract import Contract, TaskScene
from pirig.demos import identity
from pirig.demos.collect import collect
from pirig.demos.libero.from_file import FileSource
from pirig.demos.libero.source import ExpertSource
from pirig.demos.manifest import DemosManifest, read_too_long, read_tried
from pirig.files.identity import Identity
from pirig.sim import door

CODE = 7  # of the expert: another one makes other demos
REFUSED = {  # tasks of libero_goal
    "open_the_middle_drawer_of_the_cabinet": "it opens no drawers",
    "open_the_top_drawer_and_put_the_bowl_inside": "it opens no drawers",
    "push_the_plate_to_the_front_of_the_stove": "it pushes nothing",
    "turn_on_the_stove": "it turns no knobs",
}


def make(contract: Contract, task: TaskConfig, demos: DemosConfig, folder: Path, downloads: Path) -> DemosManifest:
    """See `demos.door.Maker`. Fewer than `demos.count` are taken, and said, where tasks are too hard for the expert."""
    source: ExpertSource | FileSource
    if demos.path:
        source = FileSource(contract, Path(demos.path), demos)
        parts, asked = source.parts, source.asked
    else:
        source, parts = ExpertSource(contract, demos), parts_of(contract, demos)
        asked = _asked_of_expert(contract, demos)
    if missing := door.unavailable(contract):
        raise ValueError(f"simulator libero: {missing}.")
    seeds = [scene for part in parts for scene in part]
    manifest = collect(contract, source, seeds, demos.count, demos.workers, folder, asked, least=1, parts=parts)
    said = lines(contract, folder, parts) + ([] if demos.path else left_out(contract))
    print("\n".join(said), flush=True)
    return manifest


def asked_of(
    contract: Contract, task: TaskConfig, demos: DemosConfig, folder: Path, downloads: Path
) -> Identity | None:
    """See `demos.door.Asked`."""
    if demos.path:
        return FileSource(contract, Path(demos.path), demos).asked if Path(demos.path).exists() else None
    return _asked_of_expert(contract, demos)


def _asked_of_expert(contract: Contract, demos: DemosConfig) -> Identity:
    settings = {"first_seed": demos.first_seed, "labels": demos.labels, "expert": CODE, "tries": demos.max_tries}
    settings["max_steps"] = demos.max_steps
    return identity.asked_of(contract, ExpertSource(contract, demos).name, demos.count, settings)


def parts_of(contract: Contract, demos: DemosConfig) -> list[list[int]]:
    """The scenes that may be tried, by task that the expert can do. Raises ValueError where it can do none."""
    tasks = len(contract.scenes)
    able = [number for number, scene in enumerate(contract.scenes) if not _refused(scene)]
    if not able:
        told = "; ".join(refusals(contract))
        raise ValueError(f"{told}: choose another task, or give recorded demos as demos.path=FOLDER.")
    each = math.ceil((demos.max_tries or 2 * demos.count) / len(able))
    first = math.ceil(demos.first_seed / tasks) * tasks
    return [[first + task + tasks * number for number in range(each)] for task in able]


def lines(contract: Contract, folder: Path, parts: list[list[int]]) -> list[str]:
    """Kept of tried, by task."""
    lengths, too_long = read_tried(folder), read_too_long(folder)
    text = []
    for part in parts:
        tried = [lengths[number] for number in part if number in lengths]
        longer = [str(too_long[number]) for number in part if number in too_long]
        prompt = contract.scenes[door.group_of(contract, part[0])].prompt
        text.append(
            f"demos: {sum(map(bool, tried)):3} of {len(tried):3}  {prompt}"
            + (f" (not kept for their length: {len(longer)}, of {', '.join(longer)} steps)" if longer else "")
        )
    return text


def left_out(contract: Contract) -> list[str]:
    """What the expert does not try."""
    return [f"demos: none tried  {told}" for told in refusals(contract)]


def refusals(contract: Contract) -> list[str]:
    return [f"{scene.prompt}: {_refused(scene)}" for scene in contract.scenes if _refused(scene)]


def _refused(scene: TaskScene) -> str:
    """Why, or ""; of a suite with a task chosen too."""
    name = scene.env_id.rpartition("/")[2]
    return REFUSED.get(name, "")
