"""What a data set that was recorded elsewhere says about itself, where a config leaves it open; no picture is read.

A config names such a data set by `demos.path`. What the config leaves open (prompt "", image sizes 0, a rate of 0) is taken from
it once, when the config is loaded, so that the run's config.yaml holds it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pirig.config.mapping import EPISODES_TASK, DataConfig, key_of
from pirig.config.mixes import configs_of
from pirig.config.schema import CameraEntry, Config, ControlConfig, MixConfig, TaskConfig

if TYPE_CHECKING:
    from pirig.foreign.recording import RecordingMeta


def takes_recording(config: Config) -> bool:
    """Whether episodes were recorded elsewhere, and not planned in a simulator; a simulated robot's may be, too."""
    return not config.robot.simulated or bool(config.data.name)


def completed(config: Config) -> Config:
    """The config with its prompt or prompts, cameras, image sizes and rate; unchanged where nothing is open or recorded.

    A prompt in the config wins over the data set's own. Raises ValueError where demos.path is no recording, what it says is
    damaged, a camera's column is missing, its rate is no whole number, or nothing says what the arm does.
    """
    if config.mix is not None:
        return _mix_completed(config, config.mix)
    config, task = _with_cameras(config), config.task
    open_sizes = [entry for entry in config.camera.entries.values() if not (entry.width_px and entry.height_px)]
    told = bool(task.prompt.strip() or task.prompts)
    if not takes_recording(config) or (told and not open_sizes and config.control.control_hz):
        return config
    from pirig.foreign.recording import read_recording_meta

    meta = read_recording_meta(Path(config.demos.path or ""), config.demos.leave_out)
    sized = {name: _sized(meta, one, config.data) for name, one in config.camera.entries.items()}
    return dataclasses.replace(
        config,
        task=task if told else _told(meta, config),
        control=_timed(meta, config),
        camera=dataclasses.replace(config.camera, entries=sized),
    )


def _mix_completed(config: Config, mix: MixConfig) -> Config:
    """Each recorded source as it alone would be completed; where their cameras differ, the mix's are as large as the model's
    pictures. Raises ValueError where a source has not the others' roles."""
    whole = {name: completed(own) for name, own in configs_of(config).items() if takes_recording(own)}
    if not whole:
        return config
    first, sources = next(iter(whole.values())), dict(mix.sources)
    for name, own in whole.items():
        cameras = {} if config.robot.simulated else dict(own.camera.entries)
        sources[name] = dataclasses.replace(sources[name], task=own.task, cameras=cameras)
        roles = [{entry.role for entry in one.camera.entries.values()} for one in (own, first)]
        if roles[0] != roles[1]:
            raise ValueError(
                f"mix={mix.name}: its source {name} has the cameras {', '.join(sorted(roles[0]))}, others "
                f"{', '.join(sorted(roles[1]))}; one policy sees the same ones: give it a mapping with those (conf/data/)"
            )
    entries = config.camera.entries
    if not config.robot.simulated:
        alike = all(own.camera.entries == first.camera.entries for own in whole.values())
        px = config.size.image_px
        entries = {
            name: one if alike else dataclasses.replace(one, sensor=key_of(one.role), width_px=px, height_px=px)
            for name, one in first.camera.entries.items()
        }
    control = dataclasses.replace(config.control, control_hz=config.control.control_hz or first.control.control_hz)
    camera = dataclasses.replace(config.camera, entries=entries)
    told, of_first = dataclasses.replace(mix, sources=sources), next(iter(sources.values())).task
    assert of_first is not None
    task = dataclasses.replace(config.task, prompt=of_first.prompt, prompts=of_first.prompts)
    return dataclasses.replace(config, mix=told, task=task, control=control, camera=camera)


def _with_cameras(config: Config) -> Config:
    """Where a real arm's cameras are not said one by one, they are those of the data's mapping."""
    if config.robot.simulated or config.camera.entries or not config.data.name:
        return config
    entries = {
        key_of(role): CameraEntry(role=role, sensor=column, width_px=0, height_px=0)
        for role, column in config.data.columns.items()
    }
    if not entries:
        raise ValueError(f"data={config.data.name}: it names no column of pictures; give data.base=COLUMN.")
    return dataclasses.replace(config, camera=dataclasses.replace(config.camera, entries=entries))


def _told(meta: RecordingMeta, config: Config) -> TaskConfig:
    """With the one prompt of the episodes that are used, or all of them. Raises ValueError where there is none."""
    prompts = told_in(meta, config.data.prompt, config.demos.leave_out)
    if not prompts:
        raise ValueError(
            f"{meta.folder}: its episodes have no task, so there is no prompt; give task.prompt='What the arm does.', or "
            "data.prompt=COLUMN where a column says it"
        )
    if len(prompts) == 1:
        return dataclasses.replace(config.task, prompt=prompts[0])
    return dataclasses.replace(config.task, prompts=sorted(prompts))


def told_in(meta: RecordingMeta, place: str, leave_out: Sequence[int] = ()) -> list[str]:
    """The sentences of the episodes that are used; `place`: data.prompt."""
    if place == EPISODES_TASK:
        return used_tasks(meta, leave_out)
    from pirig.foreign.sentences import read_sentences

    told = read_sentences(meta, place)
    return list(dict.fromkeys(said for number, said in told.items() if number not in set(leave_out) and said))


def rate_of(config: Config, recorded_hz: float) -> float:
    """What a recording was made at: data.fps, or what it says."""
    return float(config.data.fps or recorded_hz)


def _timed(meta: RecordingMeta, config: Config) -> ControlConfig:
    control, fps = config.control, rate_of(config, meta.fps)
    if control.control_hz:
        return control
    if fps != int(fps):
        raise ValueError(
            f"{meta.info_file}: recorded at {fps:g} frames a second; a policy is asked a whole number of times a second; "
            f"resample it to {round(fps) or 1}: data.resample=true control.control_hz={round(fps) or 1}."
        )
    return dataclasses.replace(control, control_hz=int(fps))


def used_tasks(meta: RecordingMeta, leave_out: Sequence[int] = ()) -> list[str]:
    """The sentences of the episodes that are not left out, where meta/ says which is whose; else all that it knows."""
    used = [task for one in meta.episodes if one.index not in set(leave_out) for task in one.tasks if task]
    return list(dict.fromkeys(used)) or meta.sentences


def column_of(role: str, sensor: str, simulated: bool, data: DataConfig) -> str:
    """The column of a recording that a camera's pictures are in: of a real arm's camera it is its `sensor`."""
    return data.column_of(role) if simulated else sensor


def _sized(meta: RecordingMeta, entry: CameraEntry, data: DataConfig) -> CameraEntry:
    if entry.width_px and entry.height_px:
        return entry
    size = meta.image_size(entry.sensor)
    if size is None:
        has = ", ".join(meta.image_columns()) or "no images at all"
        key = "data." + key_of(entry.role) if data.name else "camera.entries.<camera>.sensor"
        raise ValueError(
            f"{meta.folder}: no image column {entry.sensor!r} for {entry.role} (it has {has}); name it in {key}=..."
        )
    return dataclasses.replace(entry, width_px=entry.width_px or size[0], height_px=entry.height_px or size[1])
