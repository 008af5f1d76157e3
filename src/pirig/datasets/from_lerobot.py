"""A LeRobot data set recorded on a real arm into ours. Everything is checked before anything is written.

Column names, units and the episodes to leave out come from `demos.*`, image columns from the contract's cameras.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pirig.config.recorded import used_tasks
from pirig.config.schema import DemosConfig
from pirig.contract import Contract
from pirig.datasets.lerobot_source import LeRobotSource, split_column
from pirig.datasets.lerobot_write import USUAL, Form, LeRobotWriter
from pirig.datasets.said_of_columns import require_columns, require_robot
from pirig.files.progress import Progress
from pirig.foreign.lerobot import EpisodeMeta as Episode
from pirig.transforms.state import build_state, within_turn

ANGLES = 7
MODES = ("joint_position", "joint_delta")
IGNORE = "ignore"  # demos.times


@dataclass(frozen=True)
class Recorded:
    """One episode that fits the contract: state f32 [T, S], actions f32 [T, A]."""

    episode: Episode
    state: np.ndarray
    actions: np.ndarray


def convert(
    source: LeRobotSource, dataset_folder: Path, contract: Contract, settings: DemosConfig, form: Form = USUAL
) -> None:
    """Writes the data set, going on where a killed run stopped. Raises ValueError before anything is written where the
    recording does not fit (see `check`) or the disk is too small."""
    recorded = check(source, contract, settings)
    with LeRobotWriter(dataset_folder, contract, form=form) as writer, Progress("convert", len(recorded)) as progress:
        writer.require_space(sum(len(recording.actions) for recording in recorded))
        for recording in recorded:
            if not writer.reuse_episode(recording.state, recording.actions, seed=recording.episode.index):
                writer.add_episode(
                    _images(source, contract, recording.episode),
                    recording.state,
                    recording.actions,
                    seed=recording.episode.index,
                )
            progress.advance()
        writer.finish(_provenance(source, settings, len(recorded)))


def check(source: LeRobotSource, contract: Contract, settings: DemosConfig) -> list[Recorded]:
    """The episodes' numbers in the contract's units; no image is decoded.

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
    _require_widths(source, chosen[0], contract, settings)
    recorded = [_recorded(source, episode, contract, settings) for episode in chosen]
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    return recorded


def _other_rate(source: LeRobotSource, contract: Contract) -> str:
    if source.fps == int(source.fps):
        return (
            f"control.control_hz={contract.fps}; give control.control_hz={source.fps:g} if the arm is to be driven at that rate, "
            "or resample the data set"
        )
    return (
        f"control.control_hz={contract.fps}, and a policy is asked a whole number of times a second; resample the data set to "
        f"{contract.fps}, or to {round(source.fps)} with control.control_hz={round(source.fps)}"
    )


def _require_cameras(source: LeRobotSource, contract: Contract) -> None:
    for camera in contract.cameras:
        size_px, wanted = source.meta.image_size(camera.sensor), (camera.width_px, camera.height_px)
        if size_px != wanted:
            has = ", ".join(f"{name} {source.features[name].shape}" for name in source.meta.image_columns())
            raise ValueError(
                f"{source.folder}: {camera.role} is to be column {camera.sensor!r} of {wanted} px, found {size_px} (image "
                f"columns: {has or 'none'}); change camera.entries.<camera>.sensor, or width_px and height_px (0: as recorded)."
            )


def _require_widths(source: LeRobotSource, first: Episode, contract: Contract, settings: DemosConfig) -> None:
    for key, columns, wanted in (
        ("state_columns", settings.state_columns, contract.state_dim),
        ("action_columns", settings.action_columns, contract.action_dim),
    ):
        width = source.numbers(first, list(columns)).shape[1]
        if width != wanted:
            names = _names(source, columns)
            raise ValueError(
                f"{source.folder}: demos.{key}={list(columns)} holds {width} numbers{names}, expected {wanted} (7 angles and the "
                f"gripper); choose columns, or parts of them such as '{split_column(columns[0])[0]}[0:{wanted}]' "
                f"(it has {source.described()})."
            )


def _names(source: LeRobotSource, columns: list[str]) -> str:
    """What the data set calls them, where it does."""
    names_there: list[str] = []
    for column in columns:
        name, part = split_column(column)
        names_there += source.features[name].number_names[part]
    return f" ({' '.join(names_there)})" if names_there else ""


def _chosen(source: LeRobotSource, leave_out: list[int]) -> list[Episode]:
    known = {episode.index for episode in source.episodes} | set(source.index.episodes)
    unknown = sorted(set(leave_out) - known)
    if unknown:
        raise ValueError(
            f"demos.leave_out: {source.folder} has no episode {unknown[0]}; it has {min(known)} to {max(known)}."
        )
    chosen = [episode for episode in source.episodes if episode.index not in set(leave_out)]
    if not chosen:
        raise ValueError(f"{source.folder}: demos.leave_out leaves no episode.")
    return chosen


def _recorded(source: LeRobotSource, episode: Episode, contract: Contract, settings: DemosConfig) -> Recorded:
    raw_state = source.numbers(episode, list(settings.state_columns))
    raw_actions = source.numbers(episode, list(settings.action_columns))
    joints, gripper = in_units(raw_state, settings)
    state = build_state(
        contract.state, {"joint_position": joints, "gripper_position": gripper}, contract.angle_center_rad
    )
    targets, gripper_target = in_units(raw_actions, settings)
    if contract.control_mode == "joint_position":
        targets = within_turn(targets, contract.angle_center_rad)
    return Recorded(episode, state, np.concatenate([targets, gripper_target], axis=1).astype(np.float32))


def in_units(numbers: np.ndarray, settings: DemosConfig) -> tuple[np.ndarray, np.ndarray]:
    """[T, 8] as recorded -> joints [T, 7] in rad, gripper [T, 1] from 0 to 1."""
    joints, gripper = numbers[:, :ANGLES], numbers[:, ANGLES:]
    return (np.deg2rad(joints) if settings.angle_unit == "deg" else joints), gripper / settings.gripper_max


def _images(source: LeRobotSource, contract: Contract, episode: Episode) -> dict[str, np.ndarray]:
    images = {camera.role: source.images(episode, camera.sensor) for camera in contract.cameras}
    for role, frames in images.items():
        camera = next(candidate for candidate in contract.cameras if candidate.role == role)
        if frames.shape[1:] != (camera.height_px, camera.width_px, 3):
            raise ValueError(
                f"{source.folder}: {camera.sensor} of episode {episode.index} is {frames.shape[2]} x {frames.shape[1]} px, "
                f"meta/info.json says {camera.width_px} x {camera.height_px}; record it again."
            )
    return images


def _provenance(source: LeRobotSource, settings: DemosConfig, kept: int) -> dict[str, Any]:
    used = ("state_columns", "action_columns", "angle_unit", "gripper_max", "leave_out")
    total = len(source.episodes)
    return {
        "kept": kept,
        "tried": total,
        "left_out": total - kept,
        "source": f"LeRobot {source.info.codebase_version}, {source.info.robot_type}: {source.folder}",
        "fingerprint": source.fingerprint,
        "tasks": used_tasks(source.meta, settings.leave_out),
        "demos": json.loads(json.dumps({name: getattr(settings, name) for name in used}, default=list)),
    }
