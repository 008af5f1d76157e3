"""Faults of recorded data and of files that others wrote: no simulator shows them, the door and the gates do."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.datasets.lerobot.read import Dataset
from pirig.datasets.lerobot.source import LeRobotSource
from pirig.demos.maniskill.trajectory import read_index
from pirig.gates import recorded
from tests.datasets.kinova_recordings import BASE, data_set_of, make_recording, write_video
from tests.faults.faults import fault
from tests.field.recordings import Change, column, every, info, line, meta, recording, rows

FILM = f"videos/chunk-000/{BASE}/episode_000001.mp4"


def _examined(change: Change, **settings: Any) -> None:
    """What every command asks of a recording before anything is written."""
    with tempfile.TemporaryDirectory() as root:
        source = LeRobotSource(recording(Path(root) / "mugs", change, **settings))
        source.examine()
        for episode in source.episodes:
            source.numbers(episode, ["observation.state", "action"])


def _film(frames: Callable[[np.ndarray], np.ndarray]) -> Change:
    return lambda folder: write_video(folder / FILM, frames(make_recording(1)[BASE]), 10)


for _what, _words, _change, _settings in (
    ("rows of frames that are missing", "frames 12 to 15 are missing",
     rows(lambda table: table.filter(~np.isin(np.asarray(table["frame_index"]), range(12, 16)))), {}),
    ("a frame that is there twice", "is there 2 times", column("frame_index", lambda values: [*values[:9], 8, *values[10:]]), {}),
    ("a recording that was cut off", "cut off after frame 19", rows(lambda table: table.slice(0, 20)), {}),
    ("an episode that meta/ does not name", "does not name it",
     every(meta("episodes.jsonl", lambda data: b"\n".join(data.splitlines()[:2])), info(lambda said: said.pop("total_episodes"))), {}),
    ("info.json that counts other episodes than there are", "no line for episode 3", info(lambda said: said.update(total_episodes=4)), {}),
    ("an episode of another length than its rows", "episode 1: 24 rows", line(1, length=22), {}),
    ("a film with a frame more than its rows", "25 frames, 1 more", _film(lambda film: np.concatenate([film[:10], film[9:]])), {"video": True}),
    ("a film of another rate", "the film has 30 frames a second", lambda folder: write_video(folder / FILM, make_recording(1)[BASE], 30), {"video": True}),
    ("timestamps in milliseconds", "milliseconds", column("timestamp", lambda values: [100.0 * n for n in range(len(values))]), {}),
    ("timestamps that are all zero", "tell no time", column("timestamp", lambda values: [0.0] * len(values)), {}),
    ("an episode of seven numbers among eight", "7 numbers a row; expected 8", column("action", lambda values: [one[:7] for one in values]), {}),
    ("info.json without a rate", "no fps", info(lambda said: said.pop("fps")), {}),
):  # fmt: skip

    @fault(_what, "the door", "convert", _words)
    def _recording_fault(good: Any, pool: Any, change: Change = _change, settings: dict = _settings) -> None:
        _examined(change, **settings)


@fault("demos of another robot, which the file does not name", "the door", "demos", "StackCube-v1's default is that")
def unnamed_robot(good: Any, pool: Any) -> None:
    _trajectory(env_kwargs={})


@fault("demos recorded at another control rate", "the door", "demos", "control rate of 10 Hz.*control_hz=10")
def other_rate(good: Any, pool: Any) -> None:
    _trajectory(env_kwargs={"robot_uids": "panda", "sim_config": {"control_freq": 10}})


def _trajectory(env_kwargs: dict[str, Any]) -> None:
    import h5py

    with tempfile.TemporaryDirectory() as root:
        path = Path(root) / "trajectory.h5"
        with h5py.File(path, "w") as file:
            file["traj_0/actions"] = np.zeros((5, 8), np.float32)
        entry = {"episode_id": 0, "episode_seed": 0, "control_mode": "pd_joint_pos", "success": True}
        said = {"env_info": {"env_id": "StackCube-v1", "env_kwargs": env_kwargs}, "episodes": [entry]}
        path.with_suffix(".json").write_text(json.dumps(said))
        read_index(contract_of(compose(["task=stack_cube", "camera=close"])), path)


def _gate(gate: Callable[[Dataset], list[str]], bend: Callable[[Dataset], None]) -> list[str]:
    with tempfile.TemporaryDirectory() as root:
        folder = recording(Path(root) / "mugs")
        config = compose(["task=kinova", "size=tiny", f"demos.path={folder}", f"run.root={root}/out"])
        dataset = Dataset(data_set_of(config))
        assert not gate(dataset)
        dataset.state, dataset.actions = dataset.state.copy(), dataset.actions.copy()
        bend(dataset)
        return gate(dataset)


@fault("targets that are the state again", "gate lead", "train", "just the state of the same frame again")
def state_again(good: Any, pool: Any) -> list[str]:
    def bend(dataset: Dataset) -> None:
        dataset.actions = dataset.state.copy()

    return _gate(recorded.lead, bend)


@fault("actions a frame behind the state", "gate lead", "train", "behind the state .*shift the action column")
def late_actions(good: Any, pool: Any) -> list[str]:
    def bend(dataset: Dataset) -> None:
        for episode in range(dataset.episode_count):
            span = dataset.episode_rows(episode)
            state = dataset.state[span]
            dataset.actions[span] = np.concatenate([state[:1], state[:-1]])

    return _gate(recorded.lead, bend)


@fault("an arm that stands still in an episode", "gate moves", "train", r"no joint moves in 1 of 3 .*leave_out=\[1\]")
def still_arm(good: Any, pool: Any) -> list[str]:
    def bend(dataset: Dataset) -> None:
        dataset.state[dataset.episode_rows(1)] = 0.3

    return _gate(recorded.moves, bend)


@fault("a depth camera taken for a colour one", "gate pictures", "train", "no colours: a grey, infrared or depth")
def depth_camera(good: Any, pool: Any) -> list[str]:
    def bend(dataset: Dataset) -> None:
        image = type(dataset).image
        dataset.image = lambda role, index: np.repeat(image(dataset, role, index)[..., :1], 3, axis=-1)  # type: ignore[method-assign]

    return _gate(recorded.pictures, bend)
