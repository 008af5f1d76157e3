"""What was recorded on a real arm (a LeRobot data set, npz episodes) into our data set. Everything is checked before anything is
written.

Column names, units and the episodes to leave out come from `demos.*`, image columns from the contract's cameras.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pirig.config.places import META, Places
from pirig.config.recorded import used_tasks
from pirig.config.schema import Config, DemosConfig
from pirig.contract import Contract
from pirig.datasets.lerobot_write import PROVENANCE, USUAL, Form, LeRobotWriter
from pirig.datasets.recording import Recording, open_recording, split_column
from pirig.datasets.said_of_columns import require_columns, require_robot
from pirig.files.progress import Progress
from pirig.foreign.lerobot import EpisodeMeta as Episode
from pirig.transforms.state import build_state, within_turn

ANGLES = 7
MODES = ("joint_position", "joint_delta")
IGNORE = "ignore"  # demos.times
FAULTS = "faults"  # of the provenance: episodes that were left out since something is wrong with them


@dataclass(frozen=True)
class Recorded:
    """One episode that fits the contract: state f32 [T, S], actions f32 [T, A]; `task`: which of its scenes it is of, where
    there are several."""

    episode: Episode
    state: np.ndarray
    actions: np.ndarray
    task: str = ""


def convert(
    source: Recording, dataset_folder: Path, contract: Contract, settings: DemosConfig, form: Form = USUAL
) -> None:
    """Writes the data set, going on where a killed run stopped. Raises ValueError before anything is written where the
    recording does not fit (see `check`) or the disk is too small."""
    recorded = check(source, contract, settings)
    with LeRobotWriter(dataset_folder, contract, form=form) as writer, Progress("convert", len(recorded)) as progress:
        writer.require_space(sum(len(recording.actions) for recording in recorded))
        for recording in recorded:
            named: dict[str, Any] = {"seed": recording.episode.index, "task": recording.task}
            if not writer.reuse_episode(recording.state, recording.actions, **named):
                pictures = _images(source, contract, recording.episode)
                writer.add_episode(pictures, recording.state, recording.actions, **named)
            progress.advance()
        writer.finish(_provenance(source, settings, len(recorded)))


def check(source: Recording, contract: Contract, settings: DemosConfig) -> list[Recorded]:
    """The episodes' numbers in the contract's units; no image is decoded. What is left out (`source.faults`) is said.

    Raises ValueError naming what was found, what is expected and what to do: a column, camera or file is missing, widths,
    image sizes or the rate are not the contract's, numbers are not finite, an episode has a single frame, frames were dropped.
    """
    if contract.control_mode not in MODES:
        raise ValueError(f"control.mode={contract.control_mode}: a recorded data set has one of {', '.join(MODES)}.")
    chosen = _chosen(source, settings.leave_out)
    require_robot(source, contract)
    require_columns(source, contract, settings)
    _require_cameras(source, contract)
    if source.fps != contract.fps:
        raise ValueError(
            f"{source.folder}: recorded at {source.fps:g} frames a second, {_other_rate(source, contract)}."
        )
    columns = [camera.sensor for camera in contract.cameras]
    notes = source.examine(settings.leave_out, columns, ask_times=settings.times != IGNORE)
    chosen = [episode for episode in chosen if episode.index not in source.faults]
    _require_widths(source, chosen[0], contract, settings)
    recorded = [_recorded(source, episode, contract, settings) for episode in chosen]
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    for number, fault in source.faults.items():
        print(f"left out: episode {number}: {fault}", file=sys.stderr)
    return recorded


def _other_rate(source: Recording, contract: Contract) -> str:
    if source.fps == int(source.fps):
        return (
            f"control.control_hz={contract.fps}; give control.control_hz={source.fps:g} if the arm is to be driven at that rate, "
            "or resample the data set"
        )
    return (
        f"control.control_hz={contract.fps}, and a policy is asked a whole number of times a second; resample the data set to "
        f"{contract.fps}, or to {round(source.fps)} with control.control_hz={round(source.fps)}"
    )


def _require_cameras(source: Recording, contract: Contract) -> None:
    for camera in contract.cameras:
        size_px, wanted = source.meta.image_size(camera.sensor), (camera.width_px, camera.height_px)
        if size_px != wanted:
            has = ", ".join(f"{name} {source.features[name].shape}" for name in source.meta.image_columns())
            raise ValueError(
                f"{source.folder}: {camera.role} is to be column {camera.sensor!r} of {wanted} px, found {size_px} (image "
                f"columns: {has or 'none'}); change camera.entries.<camera>.sensor, or width_px and height_px (0: as recorded)."
            )


def _require_widths(source: Recording, first: Episode, contract: Contract, settings: DemosConfig) -> None:
    for key, columns, wanted in (
        ("state_columns", settings.state_columns, contract.state_dim),
        ("action_columns", settings.action_columns, contract.action_dim),
    ):
        numbers = source.numbers(first, list(columns))
        width = numbers.shape[1]
        if width != wanted:
            names = _padded(numbers, wanted) or _names(source, columns)
            raise ValueError(
                f"{source.folder}: demos.{key}={list(columns)} holds {width} numbers{names}, expected {wanted} (7 angles and the "
                f"gripper); choose columns, or parts of them such as '{split_column(columns[0])[0]}[0:{wanted}]' "
                f"(it has {source.described()})."
            )


def _padded(numbers: np.ndarray, wanted: int) -> str:
    """Of numbers [T, D] that somebody made wider: openpi pads to 32, but after it has normalised."""
    behind = numbers[:, wanted:]
    if not behind.size or behind.any():
        return ""
    return f", the last {behind.shape[1]} always 0: it was padded, which comes after normalising"


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


def _recorded(source: Recording, episode: Episode, contract: Contract, settings: DemosConfig) -> Recorded:
    raw_state = source.numbers(episode, list(settings.state_columns))
    raw_actions = source.numbers(episode, list(settings.action_columns))
    joints, gripper = in_units(raw_state, settings)
    state = build_state(
        contract.state, {"joint_position": joints, "gripper_position": gripper}, contract.angle_center_rad
    )
    targets, gripper_target = in_units(raw_actions, settings)
    if contract.control_mode == "joint_position":
        targets = within_turn(targets, contract.angle_center_rad)
    actions = np.concatenate([targets, gripper_target], axis=1).astype(np.float32)
    return Recorded(episode, state, actions, task_of(source, episode, contract))


def task_of(source: Recording, episode: Episode, contract: Contract) -> str:
    """Which of the contract's scenes an episode is of: "" where there is one, which needs no name.

    Raises ValueError where the contract has not the episode's sentence.
    """
    if len(contract.scenes) == 1:
        return ""
    told = source.task_of(episode)
    named = {scene.prompt: scene.task for scene in contract.scenes}
    if told not in named:
        raise ValueError(
            f"{source.folder}: episode {episode.index} has the task {told!r}; expected one of {', '.join(named)}; give "
            f"demos.leave_out=[{episode.index}], or task.prompt='...' for all episodes."
        )
    return named[told]


def in_units(numbers: np.ndarray, settings: DemosConfig) -> tuple[np.ndarray, np.ndarray]:
    """[T, 8] as recorded -> joints [T, 7] in rad, gripper [T, 1] from 0 to 1."""
    joints, gripper = numbers[:, :ANGLES], numbers[:, ANGLES:]
    return (np.deg2rad(joints) if settings.angle_unit == "deg" else joints), gripper / settings.gripper_max


def _images(source: Recording, contract: Contract, episode: Episode) -> dict[str, np.ndarray]:
    images = {camera.role: source.images(episode, camera.sensor) for camera in contract.cameras}
    for role, frames in images.items():
        camera = next(candidate for candidate in contract.cameras if candidate.role == role)
        if frames.shape[1:] != (camera.height_px, camera.width_px, 3):
            raise ValueError(
                f"{source.folder}: {camera.sensor} of episode {episode.index} is {frames.shape[2]} x {frames.shape[1]} px, "
                f"meta/info.json says {camera.width_px} x {camera.height_px}; record it again."
            )
    return images


def _provenance(source: Recording, settings: DemosConfig, kept: int) -> dict[str, Any]:
    used = ("state_columns", "action_columns", "angle_unit", "gripper_max", "leave_out")
    total = len(source.known)
    faults = {str(number): str(fault) for number, fault in source.faults.items()}
    return {
        "kept": kept,
        "tried": total,
        "left_out": total - kept,
        "source": f"{source.kind}, {source.robot_type or 'robot not said'}: {source.folder}",
        "fingerprint": source.fingerprint,
        "tasks": used_tasks(source.meta, settings.leave_out),
        **({FAULTS: faults} if faults else {}),
        "demos": json.loads(json.dumps({name: getattr(settings, name) for name in used}, default=list)),
    }


def left_out(config: Config, places: Places) -> dict[str, str]:
    """What is wrong with the episodes of a recording that were left out as a whole, by their number; {} where none was, and for
    what is simulated. Of a data set that is there it is what was found when it was made."""
    if config.robot.simulated:
        return {}
    note = places.data_set / META / PROVENANCE
    if note.is_file():
        return json.loads(note.read_text()).get(FAULTS, {})
    source = open_recording(Path(config.demos.path or ""), config.demos.leave_out)
    source.examine(config.demos.leave_out, [camera.sensor for camera in places.contract.cameras], ask_times=False)
    return {str(number): str(fault) for number, fault in source.faults.items()}
