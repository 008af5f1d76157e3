"""`pirig scenes`: random scenes of the task, rendered with labels and without a plan; a tower learns to see on them."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from pirig.config.mixes import configs_of
from pirig.config.places import Places, places_of
from pirig.config.schema import Config, ScenesConfig
from pirig.contract import Contract
from pirig.sim.door import unavailable

if TYPE_CHECKING:
    from pirig.scenes.labelled import Drawn, LabelledScenes
    from pirig.scenes.moments import Moments


def run(config: Config) -> int:
    for scenes in make(config, places_of(config)).values():
        print(f"scenes: {scenes.count} with {', '.join(sorted(scenes.labels))}: {scenes.folder}")
    return 0


def are_skipped(config: Config, use: str) -> bool:
    """Where a recorded arm has no simulator that renders them; it is said."""
    if not config.robot.simulated:
        print(f"{use}: skipped, robot={config.robot.name} has no simulator that renders labelled scenes")
    return not config.robot.simulated


def make(config: Config, places: Places) -> dict[str, LabelledScenes]:
    """By task ("" where there is one): what is missing is rendered, of a suite a set of each task. Demos must be there: the arm
    is drawn near theirs.

    Raises ValueError where the task has no simulator.
    """
    if not config.robot.simulated:
        raise ValueError(f"robot={config.robot.name}: {unavailable(places.contract)}, so nothing renders scenes of it")
    from pirig.datasets.make import joints_of_demos
    from pirig.scenes.labelled import Drawn, digest_of

    sets = {}
    for task, one in configs_of(config).items():
        own = places.sources.get(task, places)
        parts, joints = _contracts(own.contract), joints_of_demos(own)
        for name, contract in parts.items():
            asked = replace(one.scenes, count=ceil(one.scenes.count / len(parts)))
            demos = _demos(own) if asked.near_demos else []
            drawn = Drawn(asked.first_seed, joints, asked.joints_noise_rad, near_demos=asked.near_demos, demos=demos)
            sets[name or task] = _set(contract, drawn, asked, own.scenes(one.task.name, digest_of(contract, drawn)))
    return sets


def _demos(places: Places) -> list[Moments]:
    from pirig.demos.moments import moments_of

    return moments_of(places.demos, [point.name for scene in places.contract.scenes for point in scene.points])


def _contracts(contract: Contract) -> dict[str, Contract]:
    """One for each of its tasks, by name: each has its own bodies, so its own labels, and a simulator that shows no others."""
    if len(contract.scenes) == 1:
        return {"": contract}
    return {scene.task: contract.of_task(scene.task) for scene in contract.scenes}


def _set(contract: Contract, drawn: Drawn, asked: ScenesConfig, folder: Path) -> LabelledScenes:
    from pirig.scenes import render
    from pirig.scenes.labelled import LabelledScenes, claim, shard_folder, shards_of

    if all(shard_folder(folder, number).is_dir() for number in range(shards_of(asked.count))):
        claim(folder, contract, drawn)
        print(f"scenes: {folder} holds them already", flush=True)
        return LabelledScenes(folder, asked.count)
    if missing := unavailable(contract):
        raise ValueError(
            f"{folder}: {asked.count} labelled scenes are not all there, and {missing}; render them elsewhere"
        )
    return render.make(contract, drawn, asked.count, asked.workers, folder)
