"""What a data set recorded on a real arm says about itself, where a config leaves it open: its meta folder only.

A config names such a data set by `demos.path`. What the config leaves open (prompt "", image sizes 0) is taken from it once,
when the config is loaded, so that the run's config.yaml holds it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pirig.config.schema import CameraEntry, Config

if TYPE_CHECKING:
    from pirig.foreign.lerobot import Meta

TASKS_SHOWN = 5


def completed(config: Config) -> Config:
    """The config with its prompt and image sizes; unchanged for a simulated robot and where nothing is open.

    A prompt in the config wins over the data set's own. Raises ValueError where demos.path is no LeRobot data set, its meta
    folder is damaged, a camera's column is missing, or there is no single prompt.
    """
    entries = config.camera.entries
    open_sizes = [entry for entry in entries.values() if not (entry.width_px and entry.height_px)]
    if config.robot.simulated or (config.task.prompt.strip() and not open_sizes):
        return config
    from pirig.foreign.lerobot import read_meta

    meta = read_meta(Path(config.demos.path or ""))
    prompt = config.task.prompt.strip() or the_task(meta, config.demos.leave_out)
    sized = {name: _sized(meta, entry) for name, entry in entries.items()}
    return dataclasses.replace(
        config,
        task=dataclasses.replace(config.task, prompt=prompt),
        camera=dataclasses.replace(config.camera, entries=sized),
    )


def the_task(meta: Meta, leave_out: Sequence[int] = ()) -> str:
    """The one prompt of the episodes that are used. Raises ValueError where there is none, or several."""
    prompts = used_tasks(meta, leave_out)
    if len(prompts) == 1:
        return prompts[0]
    if not prompts:
        raise ValueError(
            f"{meta.folder}: its episodes have no task, so there is no prompt; give task.prompt='What the arm does.'"
        )
    shown = "; ".join(prompts[:TASKS_SHOWN]) + ("; ..." if len(prompts) > TASKS_SHOWN else "")
    raise ValueError(
        f"{meta.folder}: {len(prompts)} tasks ({shown}), and a policy has one prompt; give task.prompt='...' for all episodes, "
        "or record each task as a data set of its own."
    )


def used_tasks(meta: Meta, leave_out: Sequence[int] = ()) -> list[str]:
    """The sentences of the episodes that are not left out, where meta/ says which is whose; else all that it knows."""
    used = [task for one in meta.episodes if one.index not in set(leave_out) for task in one.tasks if task]
    return list(dict.fromkeys(used)) or meta.sentences


def _sized(meta: Meta, entry: CameraEntry) -> CameraEntry:
    size = meta.image_size(entry.sensor)
    if size is None:
        has = ", ".join(meta.image_columns()) or "no images at all"
        raise ValueError(
            f"{meta.folder}: no image column {entry.sensor!r} for {entry.role} (it has {has}); name it in "
            "camera.entries.<camera>.sensor=..."
        )
    return dataclasses.replace(entry, width_px=entry.width_px or size[0], height_px=entry.height_px or size[1])
