"""What was recorded on a real arm (a LeRobot data set, npz episodes) into our data set. Everything is checked before anything is
written.

Column names, units and the episodes to leave out come from `demos.*`, image columns from the contract's cameras.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pirig.config.agreement import TARGETS
from pirig.config.mapping import EPISODES_TASK, DataConfig, key_of
from pirig.config.mixes import configs_of
from pirig.config.places import META, Places
from pirig.config.recorded import column_of, rate_of, takes_recording, told_in
from pirig.config.schema import Config
from pirig.contract import RECORDED, Contract
from pirig.datasets.lerobot.write import NO_SCENES, PROVENANCE, USUAL, Form, LeRobotWriter
from pirig.datasets.recorded_numbers import (
    PADDED,
    action_units,
    as_contract,
    filled,
    in_units,
    read_as,
    state_units,
)
from pirig.datasets.recording import Recording, open_recording, split_column
from pirig.datasets.said_of_columns import names_passed_over, require_columns, require_robot
from pirig.files.progress import Progress
from pirig.foreign.lerobot import EpisodeMeta as Episode
from pirig.foreign.sentences import read_sentences

MODES = ("joint_position", "joint_delta", "joint_velocity", "tool_delta")  # of a real arm
IGNORE = "ignore"  # demos.times
FAULTS = "faults"  # of the provenance: episodes that were left out since something is wrong with them


@dataclass(frozen=True)
class Recorded:
    """One episode that fits the contract: state f32 [T, S], actions f32 [T, A]; `task`: which of its scenes it is of, where
    there are several. `frames`: the recorded frame of each row, None where all of them are taken."""

    episode: Episode
    state: np.ndarray
    actions: np.ndarray
    task: str = ""
    frames: np.ndarray | None = None


def convert(source: Recording, dataset_folder: Path, contract: Contract, config: Config, form: Form = USUAL) -> None:
    """Writes the data set, going on where a killed run stopped. Raises ValueError before anything is written where the
    recording does not fit (see `check`) or the disk is too small."""
    recorded = check(source, contract, config)
    with LeRobotWriter(dataset_folder, contract, form=form) as writer, Progress("convert", len(recorded)) as progress:
        writer.require_space(sum(len(recording.actions) for recording in recorded))
        for recording in recorded:
            named: dict[str, Any] = {"seed": recording.episode.index, "task": recording.task}
            if not writer.reuse_episode(recording.state, recording.actions, **named):
                pictures = _images(source, contract, recording, config.data)
                writer.add_episode(pictures, recording.state, recording.actions, **named)
            progress.advance()
        writer.finish(provenance(source, contract, config, len(recorded)))


def check(source: Recording, contract: Contract, config: Config) -> list[Recorded]:
    """The episodes' numbers in the contract's units; no image is decoded. What is left out (`source.faults`) is said.

    Raises ValueError naming what was found, what is expected and what to do: a column, camera or file is missing, widths,
    image sizes or the rate are not the contract's, numbers are not finite, an episode has a single frame, frames were dropped.
    """
    settings = config.demos
    if contract.simulator == RECORDED and contract.control_mode not in MODES:
        raise ValueError(f"control.mode={contract.control_mode}: a recorded data set has one of {', '.join(MODES)}.")
    chosen = _chosen(source, settings.leave_out)
    require_robot(source, contract)
    require_columns(source, contract, config.data)
    _require_cameras(source, contract, config.data)
    _require_rate(source, contract, config)
    columns = list(columns_of(contract, config.data).values())
    notes = source.examine(settings.leave_out, columns, ask_times=settings.times != IGNORE)
    chosen = [episode for episode in chosen if episode.index not in source.faults]
    _require_widths(source, chosen[0], contract, config.data)
    told = sentences_of(source, config.data)
    recorded = [_recorded(source, episode, contract, config, told) for episode in chosen]
    for note in [*names_passed_over(source, config.data), *notes]:
        print(f"note: {note}", file=sys.stderr)
    for number, fault in source.faults.items():
        print(f"left out: episode {number}: {fault}", file=sys.stderr)
    return recorded


def columns_of(contract: Contract, data: DataConfig) -> dict[str, str]:
    """By role, the recording's column of each camera's pictures."""
    simulated = contract.simulator != RECORDED
    return {camera.role: column_of(camera.role, camera.sensor, simulated, data) for camera in contract.cameras}


def sentences_of(source: Recording, data: DataConfig) -> dict[int, str]:
    """By the episode's number, what it is told."""
    if data.prompt == EPISODES_TASK:
        return {episode.index: source.task_of(episode) for episode in source.episodes}
    return read_sentences(source.meta, data.prompt)


def _require_rate(source: Recording, contract: Contract, config: Config) -> None:
    recorded_hz = rate_of(config, source.fps)
    if recorded_hz == contract.fps:
        return
    if not config.data.resample:
        raise ValueError(
            f"{source.folder}: recorded at {recorded_hz:g} frames a second, {_other_rate(recorded_hz, contract)}."
        )
    if contract.control_mode not in TARGETS:
        raise ValueError(
            f"{source.folder}: recorded at {recorded_hz:g} frames a second, and data.resample=true cannot make "
            f"{contract.fps} of them: actions of control.mode={contract.control_mode} are changes per step, which would be "
            f"others at another rate; give control.control_hz={recorded_hz:g}, "
            f"or data.fps={contract.fps} where meta/info.json is wrong."
        )


def _other_rate(recorded_hz: float, contract: Contract) -> str:
    asked = "the arm is to be driven" if contract.simulator == RECORDED else "the simulator is to be asked"
    if recorded_hz == int(recorded_hz):
        return (
            f"control.control_hz={contract.fps}; give control.control_hz={recorded_hz:g} if {asked} at that rate, "
            "data.resample=true to resample the data set, or data.fps=... where meta/info.json is wrong"
        )
    return (
        f"control.control_hz={contract.fps}, and a policy is asked a whole number of times a second; resample the data set to "
        f"{contract.fps} with data.resample=true, or to {round(recorded_hz)} with control.control_hz={round(recorded_hz)} too"
    )


def _require_cameras(source: Recording, contract: Contract, data: DataConfig) -> None:
    columns = columns_of(contract, data)
    for camera in contract.cameras:
        column = columns[camera.role]
        size_px, wanted = source.meta.image_size(column), (camera.width_px, camera.height_px)
        if size_px != wanted:
            has = ", ".join(f"{name} {source.features[name].shape}" for name in source.meta.image_columns())
            key = f"data.{key_of(camera.role)}" if data.name else "camera.entries.<camera>.sensor"
            raise ValueError(
                f"{source.folder}: {camera.role} is to be column {column!r} of {wanted} px, found {size_px} (image "
                f"columns: {has or 'none'}); change {key}, or width_px and height_px of camera.entries.<camera> (0: as recorded)."
            )


def _require_widths(source: Recording, first: Episode, contract: Contract, data: DataConfig) -> None:
    for key, columns, wanted in (
        ("state", data.state, contract.state_dim),
        ("actions", data.actions, contract.action_dim),
    ):
        numbers = source.numbers(first, list(columns))
        width = numbers.shape[1]
        if width != wanted:
            names = _padded(numbers, wanted) or _names(source, columns)
            made_of = " + ".join(contract.state) if key == "state" else contract.action_layout
            raise ValueError(
                f"{source.folder}: data.{key}={list(columns)} holds {width} numbers{names}, expected {wanted} ({made_of}); "
                f"choose columns, or parts of them such as '{split_column(columns[0])[0]}[0:{wanted}]' "
                f"(it has {source.described()})."
            )


def _padded(numbers: np.ndarray, wanted: int) -> str:
    """Of numbers [T, D] that somebody made wider."""
    behind = numbers.shape[1] - wanted
    return f", the last {behind} always 0: {PADDED}" if behind > 0 and filled(numbers) <= wanted else ""


def _names(source: Recording, columns: list[str]) -> str:
    """What the data set calls them, where it does."""
    names_there: list[str] = []
    for column in columns:
        name, part = split_column(column)
        names_there += source.features[name].number_names[part]
    return f" ({' '.join(names_there)})" if names_there else ""


def _chosen(source: Recording, leave_out: list[int]) -> list[Episode]:
    known = source.known
    unknown = sorted(set(leave_out) - known)
    if unknown:
        raise ValueError(
            f"demos.leave_out: {source.folder} has no episode {unknown[0]}; it has {min(known)} to {max(known)}."
        )
    chosen = [episode for episode in source.episodes if episode.index not in set(leave_out)]
    if not chosen:
        raise ValueError(f"{source.folder}: demos.leave_out leaves no episode.")
    return chosen


def _recorded(
    source: Recording, episode: Episode, contract: Contract, config: Config, told: Mapping[int, str]
) -> Recorded:
    data = config.data
    state = in_units(source.numbers(episode, list(data.state)), state_units(contract.state), data)
    actions = in_units(source.numbers(episode, list(data.actions)), action_units(contract), data)
    state, actions, frames = as_contract(state, actions, contract, rate_of(config, source.fps))
    return Recorded(episode, state, actions, task_of(source, episode, contract, told), frames)


def task_of(source: Recording, episode: Episode, contract: Contract, told: Mapping[int, str]) -> str:
    """Which of the contract's scenes an episode is of: "" where there is one, which needs no name.

    Raises ValueError where the contract has not the episode's sentence.
    """
    if len(contract.scenes) == 1:
        return ""
    said = told.get(episode.index, "")
    named = {scene.prompt: scene.task for scene in contract.scenes}
    if said not in named:
        raise ValueError(
            f"{source.folder}: episode {episode.index} has the task {said!r}; expected one of {', '.join(named)}; give "
            f"demos.leave_out=[{episode.index}], or task.prompt='...' for all episodes."
        )
    return named[said]


def _images(source: Recording, contract: Contract, recorded: Recorded, data: DataConfig) -> dict[str, np.ndarray]:
    columns = columns_of(contract, data)
    images = {role: source.images(recorded.episode, column) for role, column in columns.items()}
    for camera in contract.cameras:
        frames = images[camera.role]
        if frames.shape[1:] != (camera.height_px, camera.width_px, 3):
            raise ValueError(
                f"{source.folder}: {columns[camera.role]} of episode {recorded.episode.index} is {frames.shape[2]} x "
                f"{frames.shape[1]} px, meta/info.json says {camera.width_px} x {camera.height_px}; record it again."
            )
    rows = slice(None) if recorded.frames is None else recorded.frames
    return {role: frames[rows] for role, frames in images.items()}


def provenance(source: Recording, contract: Contract, config: Config, kept: int) -> dict[str, Any]:
    settings, total = config.demos, len(source.known)
    faults = {str(number): str(fault) for number, fault in source.faults.items()}
    return {
        "kept": kept,
        "tried": total,
        "left_out": total - kept,
        "source": f"{source.kind}, {source.robot_type or 'robot not said'}: {source.folder}",
        "fingerprint": source.fingerprint,
        "tasks": told_in(source.meta, config.data.prompt, settings.leave_out),
        **({FAULTS: faults} if faults else {}),
        **({NO_SCENES: True} if contract.simulator != RECORDED else {}),
        "demos": json.loads(json.dumps(read_as(config.data, settings.leave_out))),
    }


def left_out(config: Config, places: Places) -> dict[str, str]:
    """What is wrong with the episodes of a recording that were left out as a whole, by their number; {} where none was, and for
    what is simulated. Of a data set that is there it is what was found when it was made."""
    if config.mix is not None:
        of_sources = {name: left_out(own, places.sources[name]) for name, own in configs_of(config).items()}
        return {f"{name} {number}": said for name, found in of_sources.items() for number, said in found.items()}
    if not takes_recording(config):
        return {}
    note = places.data_set / META / PROVENANCE
    if note.is_file():
        return json.loads(note.read_text()).get(FAULTS, {})
    source = open_recording(Path(config.demos.path or ""), config.demos.leave_out)
    source.examine(config.demos.leave_out, list(columns_of(places.contract, config.data).values()), ask_times=False)
    return {str(number): str(fault) for number, fault in source.faults.items()}
