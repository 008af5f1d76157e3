"""Demos from an existing ManiSkill trajectory file: its own frames where they are what our cameras show, else replayed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from pirig.config.schema import DemosConfig
from pirig.contract import Contract
from pirig.demos.collect import collect
from pirig.demos.identity import is_complete
from pirig.demos.manifest import DemosManifest, episode_files
from pirig.demos.maniskill import defaults, own_frames, saturated
from pirig.demos.maniskill.planner import PLANNING_MODE
from pirig.demos.maniskill.replay import PLANNING_DIM, open_own, open_source, replay, replayable
from pirig.demos.maniskill.source import asked_of
from pirig.foreign.faults import refused
from pirig.foreign.trajectory import Episode, TrajectoryFile, opened, read_trajectory

FARTHEST_RAD = 10.0  # no joint of a Panda goes beyond 3.8; 10 degrees are less than any demo needs


def from_file(contract: Contract, path: Path, demos: DemosConfig, folder: Path) -> DemosManifest:
    """The file's successful episodes, with the contract's cameras, into `folder`; says which are taken and which are replayed.

    Raises ValueError before anything is written where the file is missing, damaged, of another task, robot, rate or control
    mode, or holds actions that are not finite or of another width.
    """
    file = read_index(contract, path)
    if file.recorded_by:
        print(f"demos: {path} was recorded by {file.recorded_by}", flush=True)
    wanted = min(demos.count, len(file.successful))
    if wanted < demos.count:
        print(f"demos: {path} holds {wanted} successful episodes, fewer than demos.count={demos.count}; all are used")
    source = FileSource(contract, path, file, demos.labels)
    asked = asked_of(contract, source.name, path, file, demos, folder)
    if not is_complete(asked, folder):
        source.choose()
    manifest = collect(contract, source, list(source.episodes), wanted, demos.workers, folder, asked)
    if said := saturated.note(contract, (actions_of(one) for one in episode_files(folder))):
        print(f"demos: note: {said}", flush=True)
    return manifest


def actions_of(episode: Path) -> np.ndarray:
    """f32 [T, A] of an episode file; no picture is read."""
    with np.load(episode) as arrays:
        return arrays["actions"]


def read_index(contract: Contract, path: Path) -> TrajectoryFile:
    """What the file says, where it is what the contract asks for. What it does not say is ManiSkill's default."""
    file = read_trajectory(path)
    if file.env_id != contract.env_id:
        raise refused(
            path, f"recorded in {file.env_id}", "choose the task it is of", expected=f"this run's {contract.env_id}"
        )
    _require_robot(contract, file)
    _require_rate(contract, file)
    if not file.successful:
        raise refused(
            path, f"none of its {len(file.episodes)} episodes succeeded (success is false)",
            "choose another file, or plan the demos here", expected="at least one successful episode",
        )  # fmt: skip
    for episode in file.successful:
        _require_mode(contract, file, episode)
    _require_units(file)
    _require_own_seeds(file)
    return file


def _require_robot(contract: Contract, file: TrajectoryFile) -> None:
    told, source = defaults.robot_of(file.env_kwargs), "it says"
    held = [name for name in file.robots if name in defaults.known_robots()]
    if told is None:
        source = "its env_states say" if held else f"it names none, and {file.env_id}'s default is that"
        told = held[0] if held else defaults.default_robot(file.env_id)
    elif held and told not in held:
        raise refused(
            file.sidecar, f"robot_uids is {told}, the env_states of the .h5 are of {', '.join(held)}",
            "copy both files again", expected="the same robot in both",
        )  # fmt: skip
    if told != contract.robot_uid:
        raise refused(
            file.path, f"recorded with robot {told} ({source})",
            "a demo does not move from one to the other (joint 7 starts at the opposite sign): choose the other camera, or plan "
            "demos here", expected=f"this run's {contract.robot_uid}",
        )  # fmt: skip


def _require_rate(contract: Contract, file: TrajectoryFile) -> None:
    """An action that was held for 1/10 s is another one held for 1/20 s."""
    rate = own_frames.rates_of(file.env_kwargs)["control_freq"]
    if rate != contract.control_hz:
        raise refused(
            file.path, f"recorded at a control rate of {rate} Hz",
            f"give control.control_hz={rate}, or plan the demos here", expected=f"this run's {contract.control_hz} Hz",
        )  # fmt: skip


def mode_of(file: TrajectoryFile, contract: Contract, episode: Episode) -> str:
    """What the file says, else the robot's first one."""
    return episode.control_mode or defaults.default_mode(contract.robot_uid)


def _require_mode(contract: Contract, file: TrajectoryFile, episode: Episode) -> None:
    mode, width = mode_of(file, contract, episode), file.action_widths[episode.number]
    replayed = replayable(contract.control_mode)
    modes = replayed | {contract.control_mode: contract.action_dim}
    if mode not in modes:
        raise refused(
            file.path,
            f"its actions are in control mode {mode}" + ("" if episode.control_mode else " (the robot's default; it names none)"),
            f"give control.mode={mode} control.action_dim={width} control.layout='{' '.join(f'a{n}' for n in range(width))}' to "
            "train on them as they are, or choose another file",
            expected=f"{contract.control_mode}, or what can be replayed into it: {', '.join(replayed)}", episode=episode.number,
        )  # fmt: skip
    if width != modes[mode]:
        raise refused(
            file.path, f"its actions have {width} numbers", "choose another file", expected=f"{modes[mode]} numbers in {mode}",
            episode=episode.number,
        )  # fmt: skip


def _require_units(file: TrajectoryFile) -> None:
    """Joint targets are in rad."""
    with opened(file.path) as held:
        for episode in file.successful:
            if episode.control_mode == PLANNING_MODE:
                joints = np.abs(np.asarray(held[f"{episode.group}/actions"], np.float64)[:, : PLANNING_DIM - 1])
                step, joint = np.unravel_index(int(joints.argmax()), joints.shape)
                if joints[step, joint] > FARTHEST_RAD:
                    raise refused(
                        file.path, f"joint {joint + 1} is sent to {joints[step, joint]:.4g}", "convert degrees into rad",
                        expected=f"joint targets in rad, none beyond {FARTHEST_RAD:.2f}", episode=episode.number, frame=int(step),
                    )  # fmt: skip


def _require_own_seeds(file: TrajectoryFile) -> None:
    numbers: dict[int, int] = {}
    for episode in file.successful:
        other = numbers.setdefault(episode.seed, episode.number)
        if other != episode.number:
            raise refused(
                file.sidecar, f"it has the seed {episode.seed} of episode {other}", "remove one of them",
                expected="a seed of its own for every episode", episode=episode.number,
            )  # fmt: skip


class FileSource:
    name = "trajectory file"

    def __init__(self, contract: Contract, path: Path, file: TrajectoryFile, labels: bool = False):
        self.contract, self.path, self.file, self.labels = contract, path, file, labels
        self.episodes = {episode.seed: episode for episode in file.successful}
        self.modes = {seed: mode_of(file, contract, episode) for seed, episode in self.episodes.items()}
        self._sources: dict[str, Any] = {}
        self.own: frozenset[int] = frozenset()  # seeds whose frames may be the file's own

    def choose(self) -> None:
        """Asks the file of each episode whether its own frames may be taken, and says so."""
        with opened(self.path) as held:
            reasons = {
                seed: own_frames.why_not(
                    self.contract, self.file.env_kwargs, self.modes[seed], held[episode.group], labels=self.labels
                )
                for seed, episode in self.episodes.items()
            }
        self.own = frozenset(seed for seed, reason in reasons.items() if not reason)
        for reason, count in Counter(reasons.values()).items():
            how = f"replayed with this run's cameras: {reason}" if reason else "taken with the file's own frames"
            print(f"demos: {count} episodes of {self.path.name} are {how}", flush=True)

    def open(self) -> None:
        self.sim = open_own(self.contract)

    def source_in(self, mode: str) -> Any:
        """A simulator is half a GB: opened where an episode has to be brought from this mode into the run's."""
        if mode not in self._sources:
            self._sources[mode] = open_source(self.contract, mode)
        return self._sources[mode]

    def episode(self, seed: int) -> dict[str, Any] | None:
        group = self.episodes[seed].group
        with opened(self.path) as held:
            if seed in self.own:
                reason = own_frames.unlike(self.sim, held[group], seed)
                if not reason:
                    return own_frames.taken(self.sim, held[group], seed)
                print(f"demos: the episode of seed {seed} is replayed: {reason}", flush=True)
            actions = np.asarray(held[f"{group}/actions"], np.float32)
        mode = self.modes[seed]
        source_env = None if mode == self.contract.control_mode else self.source_in(mode)
        return replay(self.contract, source_env, self.sim, actions, seed, mode, labels=self.labels)

    def too_few(self, kept: list[int], tried: list[int], count: int) -> str:
        """Why there are not as many demos as wanted, and what to do."""
        failed = [str(self.episodes[seed].number) for seed in tried if seed not in kept]
        if not kept:
            remedy = "choose another file, or leave demos.path out to plan the demos here"
        else:
            remedy = f"give demos.count={len(kept)} to go on with those that do"
        return (
            f"{self.path}: {len(kept)} of {len(tried)} episodes end in success when they are replayed, {count} are wanted; "
            f"episode {', '.join(failed[:6])} does not: {remedy}."
        )
