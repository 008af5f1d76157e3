"""What a data set recorded on a real arm says about itself, where a config leaves it open; no picture is read.

A config names such a data set by `demos.path`. What the config leaves open (prompt "", image sizes 0, a rate of 0) is taken from
it once, when the config is loaded, so that the run's config.yaml holds it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pirig.config.schema import CameraEntry, Config, ControlConfig, TaskConfig

if TYPE_CHECKING:
    from pirig.foreign.recording import RecordingMeta


def completed(config: Config) -> Config:
    """The config with its prompt or prompts, image sizes and rate; unchanged for a simulated robot and where nothing is open.

    A prompt in the config wins over the data set's own. Raises ValueError where demos.path is no recording, what it says is
    damaged, a camera's column is missing, its rate is no whole number, or nothing says what the arm does.
    """
    entries, task = config.camera.entries, config.task
    open_sizes = [entry for entry in entries.values() if not (entry.width_px and entry.height_px)]
    told = bool(task.prompt.strip() or task.prompts)
    if config.robot.simulated or (told and not open_sizes and config.control.control_hz):
        return config
    from pirig.foreign.recording import read_recording_meta

    meta = read_recording_meta(Path(config.demos.path or ""), config.demos.leave_out)
    return dataclasses.replace(
        config,
        task=task if told else _told(meta, task, config.demos.leave_out),
        control=_timed(meta, config.control),
        camera=dataclasses.replace(config.camera, entries={name: _sized(meta, one) for name, one in entries.items()}),
    )


def _told(meta: RecordingMeta, task: TaskConfig, leave_out: Sequence[int]) -> TaskConfig:
    """With the one prompt of the episodes that are used, or all of them. Raises ValueError where there is none."""
    prompts = used_tasks(meta, leave_out)
    if not prompts:
        raise ValueError(
            f"{meta.folder}: its episodes have no task, so there is no prompt; give task.prompt='What the arm does.'"
        )
    if len(prompts) == 1:
        return dataclasses.replace(task, prompt=prompts[0])
    return dataclasses.replace(task, prompts=sorted(prompts))


def _timed(meta: RecordingMeta, control: ControlConfig) -> ControlConfig:
    if control.control_hz:
        return control
    if meta.fps != int(meta.fps):
        raise ValueError(
            f"{meta.info_file}: recorded at {meta.fps:g} frames a second; a policy is asked a whole number of times a second; "
            f"resample it to {round(meta.fps) or 1}."
        )
    return dataclasses.replace(control, control_hz=int(meta.fps))


def used_tasks(meta: RecordingMeta, leave_out: Sequence[int] = ()) -> list[str]:
    """The sentences of the episodes that are not left out, where meta/ says which is whose; else all that it knows."""
    used = [task for one in meta.episodes if one.index not in set(leave_out) for task in one.tasks if task]
    return list(dict.fromkeys(used)) or meta.sentences


def _sized(meta: RecordingMeta, entry: CameraEntry) -> CameraEntry:
    size = meta.image_size(entry.sensor)
    if size is None:
        has = ", ".join(meta.image_columns()) or "no images at all"
        raise ValueError(
            f"{meta.folder}: no image column {entry.sensor!r} for {entry.role} (it has {has}); name it in "
            "camera.entries.<camera>.sensor=..."
        )
    return dataclasses.replace(entry, width_px=entry.width_px or size[0], height_px=entry.height_px or size[1])
