"""Demos from an existing ManiSkill trajectory file: its own frames where they are what our cameras show, else replayed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from pirig.config.schema import DemosConfig
from pirig.contract import Contract
from pirig.demos.collect import collect
from pirig.demos.identity import is_complete
from pirig.demos.manifest import DemosManifest
from pirig.demos.maniskill import own_frames
from pirig.demos.maniskill.planner import PLANNING_MODE
from pirig.demos.maniskill.replay import open_simulators, replay
from pirig.demos.maniskill.source import asked_of


def from_file(contract: Contract, path: Path, demos: DemosConfig, folder: Path) -> DemosManifest:
    """The file's successful episodes, with the contract's cameras, into `folder`; says which are taken and which are replayed.

    Raises ValueError before anything is written where the file is missing, truncated, of another task, robot or control
    mode, or holds actions that are not finite.
    """
    episodes = read_index(contract, path)
    seeds = [episode["episode_seed"] for episode in episodes]
    if len(set(seeds)) < len(seeds):
        raise ValueError(
            f"{path}: {len(seeds) - len(set(seeds))} episodes share a seed with another; remove the duplicates"
        )
    wanted = min(demos.count, len(seeds))
    source = FileSource(contract, path, episodes, demos.labels)
    asked = asked_of(contract, source.name, path, episodes, demos, folder)
    if not is_complete(asked, folder):
        source.choose()
    return collect(contract, source, seeds, wanted, demos.workers, folder, asked)


def read_index(contract: Contract, path: Path) -> list[dict[str, Any]]:
    """The checked list of the file's episodes: {"episode_id", "episode_seed", "control_mode", ...}."""
    index_path = path.with_suffix(".json")
    for file in (path, index_path):
        if not file.is_file():
            raise ValueError(f"demos.path: {file} is not there; a ManiSkill trajectory is an .h5 and a .json beside it")
    index = json.loads(index_path.read_text())
    env_info = index["env_info"]
    if env_info["env_id"] != contract.env_id:
        raise ValueError(
            f"{path}: recorded in {env_info['env_id']}, this run is {contract.env_id}; choose the task it is of"
        )
    robot = env_info.get("env_kwargs", {}).get("robot_uids", contract.robot_uid)
    if robot != contract.robot_uid:
        raise ValueError(
            f"{path}: recorded with robot {robot}, this run uses {contract.robot_uid}; a demo does not move from one to "
            "the other (joint 7 starts at the opposite sign): choose the other camera, or plan demos here"
        )
    episodes = [episode for episode in index["episodes"] if episode.get("success", True)]
    for episode in episodes:
        _require_mode(contract, path, episode["control_mode"])
    _require_actions(path, episodes)
    return episodes


def _require_mode(contract: Contract, path: Path, mode: str) -> None:
    if mode not in (PLANNING_MODE, contract.control_mode):
        raise ValueError(
            f"{path}: actions are in control mode {mode}; expected {contract.control_mode}, or {PLANNING_MODE}, which can "
            f"be replayed into it; choose control={mode} or another file"
        )


def _require_actions(path: Path, episodes: list[dict[str, Any]]) -> None:
    import h5py

    try:
        with h5py.File(path) as file:
            for episode in episodes:
                actions = file[f"{_group(episode)}/actions"][:]
                if not np.isfinite(actions).all():
                    step = int(np.argwhere(~np.isfinite(actions))[0, 0])
                    raise ValueError(
                        f"{path}: episode {episode['episode_id']} has a NaN or infinite action at step {step}"
                    )
    except (OSError, KeyError) as error:
        raise ValueError(
            f"{path}: truncated or no ManiSkill trajectory ({error}); copy or download it again"
        ) from error


def _group(episode: dict[str, Any]) -> str:
    return f"traj_{episode['episode_id']}"


class FileSource:
    name = "trajectory file"

    def __init__(self, contract: Contract, path: Path, episodes: list[dict[str, Any]], labels: bool = False):
        self.contract, self.path, self.labels = contract, path, labels
        self.episodes = {episode["episode_seed"]: episode for episode in episodes}
        self.own: frozenset[int] = frozenset()  # seeds whose frames may be the file's own

    def choose(self) -> None:
        """Asks the file of each episode whether its own frames may be taken, and says so."""
        import h5py

        env_kwargs = json.loads(self.path.with_suffix(".json").read_text())["env_info"].get("env_kwargs", {})
        with h5py.File(self.path) as file:
            reasons = {
                seed: own_frames.why_not(
                    self.contract, env_kwargs, episode["control_mode"], file[_group(episode)], labels=self.labels
                )
                for seed, episode in self.episodes.items()
            }
        self.own = frozenset(seed for seed, reason in reasons.items() if not reason)
        for reason, count in Counter(reasons.values()).items():
            how = f"replayed with this run's cameras: {reason}" if reason else "taken with the file's own frames"
            print(f"demos: {count} episodes of {self.path.name} are {how}", flush=True)

    def open(self) -> None:
        modes = {episode["control_mode"] for episode in self.episodes.values()}
        mode = PLANNING_MODE if PLANNING_MODE in modes else self.contract.control_mode
        self.source_env, self.sim = open_simulators(self.contract, mode)

    def episode(self, seed: int) -> dict[str, np.ndarray] | None:
        import h5py

        episode = self.episodes[seed]
        with h5py.File(self.path) as file:
            if seed in self.own:
                reason = own_frames.unlike(self.sim, file[_group(episode)], seed)
                if not reason:
                    return own_frames.taken(self.sim, file[_group(episode)], seed)
                print(f"demos: the episode of seed {seed} is replayed: {reason}", flush=True)
            actions = np.asarray(file[f"{_group(episode)}/actions"], np.float32)
        mode = episode["control_mode"]
        return replay(self.contract, self.source_env, self.sim, actions, seed, mode, labels=self.labels)
