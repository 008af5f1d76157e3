"""`pirig scenes`: random scenes of the task, rendered with labels and without a plan; a tower learns to see on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pirig.config.mixes import configs_of
from pirig.config.places import Places, places_of
from pirig.config.schema import Config
from pirig.sim.door import unavailable

if TYPE_CHECKING:
    from pirig.scenes.labelled import LabelledScenes


def run(config: Config) -> int:
    for scenes in make(config, places_of(config)).values():
        print(f"scenes: {scenes.count} with {', '.join(sorted(scenes.labels))}: {scenes.folder}")
    return 0


def make(config: Config, places: Places) -> dict[str, LabelledScenes]:
    """By task ("" where there is one): what is missing is rendered. Demos must be there: the arm is drawn near theirs.

    Raises ValueError where the task has no simulator.
    """
    if not config.robot.simulated:
        raise ValueError(f"robot={config.robot.name}: {unavailable(places.contract)}, so nothing renders scenes of it")
    return {task: _of_task(one, places.sources.get(task, places)) for task, one in configs_of(config).items()}


def _of_task(config: Config, places: Places) -> LabelledScenes:
    from pirig.datasets.make import joints_of_demos
    from pirig.scenes import render
    from pirig.scenes.labelled import Drawn, LabelledScenes, claim, digest_of, shard_folder, shards_of

    asked = config.scenes
    drawn = Drawn(asked.first_seed, joints_of_demos(places), asked.joints_noise_rad)
    folder = places.scenes(config.task.name, digest_of(places.contract, drawn))
    whole = all(shard_folder(folder, number).is_dir() for number in range(shards_of(asked.count)))
    if whole:
        claim(folder, places.contract, drawn)
        print(f"scenes: {folder} holds them already", flush=True)
        return LabelledScenes(folder, asked.count)
    if missing := unavailable(places.contract):
        raise ValueError(
            f"{folder}: {asked.count} labelled scenes are not all there, and {missing}; render them elsewhere"
        )
    return render.make(places.contract, drawn, asked.count, asked.workers, folder)
