"""`pirig demos`: plan (or take) demonstrations and replay them with the contract's cameras.

What was recorded on a real arm is only checked: it has its pictures already.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from pirig.config.places import DATA, Places, places_of
from pirig.config.schema import Config
from pirig.runs.progress import has_data_set

if TYPE_CHECKING:
    from pirig.demos.manifest import DemosManifest


def run(config: Config) -> int:
    print(f"demos: {make(config, places_of(config))}")
    return 0


def make(config: Config, places: Places) -> Path:
    """The folder of demos that this config asks for; made, completed, or found complete."""
    if not config.robot.simulated:
        return recorded(config, places)
    from pirig.demos.door import maker

    contract, folder = places.contract, places.demos
    manifest = maker(contract)(contract, config.task, config.demos, folder, Path(config.run.root) / DATA)
    print(
        f"demos: kept {manifest.kept} of {manifest.tried} tried, {min(manifest.lengths)} to {max(manifest.lengths)} steps"
    )
    if note := _wandering(manifest, config.eval.step_margin):
        print(note)
    return folder


def _wandering(manifest: DemosManifest, margin: float) -> str | None:
    """What a few much longer demos mean: they are trained on, but the step limit follows the others."""
    from pirig.demos.manifest import longest_usual

    if not (found := manifest.wandering()):
        return None
    named = ", ".join(f"seed {seed}: {length}" for seed, length in list(found.items())[:5])
    usual = longest_usual(manifest.lengths)
    return (
        f"demos: note: {len(found)} of them are much longer than the others, which end within {usual} steps ({named}). The step "
        f"limit of the evaluation follows the others, {math.ceil(margin * usual)} steps; eval.max_steps="
        f"{math.ceil(margin * max(manifest.lengths))} follows the longest."
    )


def recorded(config: Config, places: Places) -> Path:
    """The recorded data set, after every check that needs no picture; where `pirig convert` has taken it in, no more."""
    from pirig.datasets import from_lerobot
    from pirig.datasets.lerobot_source import LeRobotSource

    contract, folder = places.contract, Path(config.demos.path or "")
    if has_data_set(places):
        print(f"demos: {folder}, converted already")
        return folder
    found = from_lerobot.check(LeRobotSource(folder), contract, config.demos)
    lengths = [one.episode.length for one in found]
    print(f"demos: {len(found)} recorded episodes, {min(lengths)} to {max(lengths)} steps, prompt {contract.prompt!r}")
    return folder
