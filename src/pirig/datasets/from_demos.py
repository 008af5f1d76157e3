"""Demos of a simulator (`pirig demos`) into a LeRobot data set. Everything is checked before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pirig.config.state_entries import state_entry
from pirig.contract import Camera, Contract, require_equal
from pirig.datasets.lerobot.write import USUAL, Form, LeRobotWriter
from pirig.demos.manifest import IMAGE, LABEL, START, TASK, DemosManifest, episode_files
from pirig.files.progress import Progress
from pirig.foreign.npz import Header, headers, require_numbers
from pirig.sim.door import State
from pirig.transforms.state import build_state

DELTA_LIMIT = 1.0 + 1e-4


def convert(
    demos_folder: Path,
    dataset_folder: Path,
    contract: Contract,
    *,
    labels: bool = False,
    leave_out_wandering: bool = False,
    form: Form = USUAL,
) -> None:
    """Writes the data set, going on where a killed run stopped. Failed tries are left out and counted in provenance; so are
    the few demos that are much longer than the others, with `leave_out_wandering`.

    With `labels` the demos' privileged numbers become columns too.

    Raises ValueError (ContractError) before anything is written: the demos' contract differs, an episode has no images
    of a camera, has NaN or infinite numbers, arrays of different lengths, actions outside the control mode's range, or
    the disk is too small.
    """
    demos_folder, dataset_folder = Path(demos_folder), Path(dataset_folder)
    if dataset_folder.exists():
        raise FileExistsError(f"{dataset_folder} exists already; remove it or choose another name")
    require_equal(contract, Contract.load(demos_folder), our_name="this run", their_name=f"the demos {demos_folder}")
    manifest = DemosManifest.load(demos_folder)
    wandering = list(manifest.wandering()) if leave_out_wandering else []
    seeds = [seed for seed in manifest.seeds if seed not in wandering]
    files = [file for seed, file in zip(manifest.seeds, _files(demos_folder), strict=True) if seed not in wandering]
    numbers = [check_episode(file, contract) for file in files]
    named = check_labels(files) if labels else {}
    starts = stacked([start_of(file) for file in files])
    with (
        LeRobotWriter(dataset_folder, contract, form=form) as writer,
        Progress("convert", len(files)) as progress,
    ):
        writer.require_space(sum(len(actions) for _, actions in numbers))
        for seed, file, (state, actions) in zip(seeds, files, numbers, strict=True):
            known = labels_of(file, named)
            told: dict[str, Any] = {"seed": seed, "labels": known, "task": task_of(file)}
            if not writer.reuse_episode(state, actions, **told):
                writer.add_episode(images_of(file, contract), state, actions, **told)
            progress.advance()
        left_out = manifest.tried - manifest.kept
        counts = {"kept": manifest.kept, "tried": manifest.tried, "left_out": left_out}
        if wandering:
            print(f"convert: {len(wandering)} demos much longer than the others are left out: seeds {wandering[:5]}")
        more = {"scenes": manifest.scenes} if manifest.scenes else {}
        more |= {"wandering_left_out": wandering} if leave_out_wandering else {}
        writer.finish({**counts, "source": manifest.source, **more}, starts=starts)


def _files(folder: Path) -> list[Path]:
    """The manifest's episodes, in its order."""
    files = episode_files(folder)
    missing = [file.name for file in files if not file.is_file()]
    if missing or not files:
        what = ", ".join(missing) if missing else "all episodes"
        raise ValueError(f"{folder}: missing: {what}; run `pirig demos` with the same settings again")
    return files


def check_episode(file: Path, contract: Contract) -> tuple[np.ndarray, np.ndarray]:
    """State f32 [T, S] and actions f32 [T, A] of an episode whose arrays all fit the contract; no image is read."""
    heads = headers(file)
    if "actions" not in heads:
        raise ValueError(f"{file}: no actions; this is no episode of demos, run `pirig demos`")
    require_numbers(file, heads, ("actions", *(state_entry(entry).array for entry in contract.state)))
    for camera in contract.cameras:
        _require_images(file, heads, camera, heads["actions"].shape[0])
    with np.load(file) as arrays:
        actions = np.asarray(arrays["actions"], np.float32)
        try:
            state = build_state(contract.state, arrays)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error
    if len(state) != len(actions) or actions.ndim != 2 or actions.shape[1] != contract.action_dim or not len(actions):
        raise ValueError(
            f"{file}: actions {list(actions.shape)} and state {list(state.shape)}; expected [T, {contract.action_dim}] "
            f"and [T, {contract.state_dim}] of one length T > 0; run `pirig demos` again"
        )
    _require_finite(file, "actions", actions)
    _require_finite(file, "state", state)
    _require_in_range(file, actions, contract)
    return state, actions


def check_labels(files: list[Path]) -> dict[str, int]:
    """The labels' names and widths, the same ones in every episode of a task. Raises ValueError where they are not, or are not
    finite [T, k]."""
    by_task: dict[str, list[Path]] = {}
    for file in files:
        by_task.setdefault(task_of(file), []).append(file)
    return {name: width for own in by_task.values() for name, width in _check_labels_of_task(own).items()}


def _check_labels_of_task(files: list[Path]) -> dict[str, int]:
    named = [name.removeprefix(LABEL) for name in headers(files[0]) if name.startswith(LABEL)]
    shapes: dict[str, int] = {}
    for file in files:
        heads = headers(file)
        here = [name.removeprefix(LABEL) for name in heads if name.startswith(LABEL)]
        if not here or here != named:
            raise ValueError(
                f"{file}: labels {', '.join(here) or 'none'}, {files[0].name} has {', '.join(named) or 'none'}; expected the "
                "same in every episode: run `pirig demos ... demos.labels=true`, or leave demos.labels out"
            )
        with np.load(file) as arrays:
            held = {name: np.asarray(arrays[f"{LABEL}{name}"], np.float32) for name in named}
        for name, values in held.items():
            if values.ndim != 2 or values.shape != (
                heads["actions"].shape[0],
                shapes.setdefault(name, values.shape[-1]),
            ):
                raise ValueError(
                    f"{file}: label {name} is {list(values.shape)}, expected [T, k]; run `pirig demos` again"
                )
            _require_finite(file, f"label {name}", values)
    return shapes


def start_of(file: Path) -> State:
    """The state that an episode starts from; {} where a reset to its seed gives it."""
    names = [name for name in headers(file) if name.startswith(START)]
    with np.load(file) as arrays:
        return {name.removeprefix(START): np.asarray(arrays[name], np.float32) for name in names}


def stacked(held: Sequence[State]) -> dict[str, np.ndarray]:
    """Where each episode starts, f32 [E, k] by the simulator's names; an episode without a state has NaN there, and behind a
    shorter one, as tasks of a suite have them.

    {} where no episode has one: all start where a reset to their seed does.
    """
    names = dict.fromkeys(name for state in held for name in state)
    return {name: _padded([state.get(name, np.empty(0, np.float32)) for state in held]) for name in names}


def _padded(rows: Sequence[np.ndarray]) -> np.ndarray:
    whole = np.full((len(rows), max(map(len, rows))), np.nan, np.float32)
    for place, row in enumerate(rows):
        whole[place, : len(row)] = row
    return whole


def task_of(file: Path) -> str:
    """Which of the contract's tasks an episode is of; "" where it has one."""
    with np.load(file) as arrays:
        return str(arrays[TASK]) if TASK in arrays.files else ""


def labels_of(file: Path, named: Mapping[str, int]) -> dict[str, np.ndarray]:
    """f32 [T, k] by name; NaN, which the losses pass over, of what the episode's task does not have."""
    with np.load(file) as arrays:
        steps = len(arrays["actions"])
        nothing = {name: np.full((steps, width), np.nan, np.float32) for name, width in named.items()}
        held = {name: np.asarray(arrays[f"{LABEL}{name}"], np.float32) for name in named if f"{LABEL}{name}" in arrays}
    return nothing | held


def _require_images(file: Path, heads: dict[str, Header], camera: Camera, length: int) -> None:
    key = f"{IMAGE}{camera.role}"
    if key not in heads:
        others = ", ".join(name for name in heads if name.startswith(IMAGE)) or "no images at all"
        raise ValueError(
            f"{file}: no rgb of camera {camera.role} (it has {others}): run `pirig demos ...` with the same settings"
        )
    expected = Header((length, camera.height_px, camera.width_px, 3), np.dtype(np.uint8))
    if heads[key] != expected:
        raise ValueError(
            f"{file}: {key} is {heads[key].dtype} {list(heads[key].shape)}, expected {expected.dtype} "
            f"{list(expected.shape)} ({length} actions); run `pirig demos` again"
        )


def _require_finite(file: Path, name: str, values: np.ndarray) -> None:
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        raise ValueError(
            f"{file}: {name} of step {bad[0]} are not finite ({values[bad[0]].tolist()}); "
            "remove this episode's file and run `pirig demos` again"
        )


def _require_in_range(file: Path, actions: np.ndarray, contract: Contract) -> None:
    """Delta modes are normalised to -1..1 by ManiSkill; what is outside would be clipped silently in the simulator."""
    if "delta" not in contract.control_mode:
        return
    bad = np.argwhere(np.abs(actions) > DELTA_LIMIT)
    if len(bad):
        step, number = bad[0]
        raise ValueError(
            f"{file}: action {number} of step {step} is {actions[step, number]:.4g}, {contract.control_mode} allows "
            "-1..1; were these demos recorded in another control mode? Replay them with `pirig demos`"
        )


def images_of(file: Path, contract: Contract) -> dict[str, np.ndarray]:
    with np.load(file) as arrays:
        return {camera.role: arrays[f"{IMAGE}{camera.role}"] for camera in contract.cameras}
