"""CPU ms per frame of our writer and reader in every form, beside lerobot's own, on the same demos in one run.

    python -m benchmarks.data_forms DEMOS_FOLDER [--episodes 4] [--repeats 3] [--device NAME]

Writing: episodes are in memory before the clock starts. Reading, in random order: ours is the decoded frames in a memory map
that training reads (its making is a row of its own) and a chunk of 20 actions; lerobot's is its dataset with delta_timestamps of
20 actions. CPU time is that of the process and of those that it started. Needs the real lerobot (`make test-lerobot`).
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.convert import Episodes, load
from pirig.contract import Contract
from pirig.datasets import lerobot_format as fmt
from pirig.datasets.frame_cache import frame_cache
from pirig.datasets.lerobot_read import Dataset
from pirig.datasets.lerobot_write import Form, LeRobotWriter
from tests.datasets.real_lerobot import import_lerobot

HORIZON = 20
FORMS = {"images": "", "h264": "h264", "av1": "av1"}
THEIRS = {"images": None, "h264": "h264", "av1": "libsvtav1"}


def cpu_s() -> float:
    return sum(os.times()[:4])


def write_ours(folder: Path, episodes: Episodes, contract: Contract, kind: str) -> None:
    with LeRobotWriter(folder, contract, form=Form(codec=FORMS[kind])) as writer:
        for seed, episode in enumerate(episodes):
            images = {camera.role: episode[f"image/{camera.role}"] for camera in contract.cameras}
            writer.add_episode(images, episode["state"], episode["actions"], seed=seed)
        with contextlib.redirect_stdout(io.StringIO()):
            writer.finish({})


def write_theirs(folder: Path, episodes: Episodes, contract: Contract, kind: str) -> None:
    codec = THEIRS[kind]
    features = {
        key: feature | {"shape": tuple(feature["shape"])}
        | ({"dtype": "video"} if codec and feature["dtype"] == "image" else {})
        for key, feature in fmt.features(contract, {}).items()
        if key.startswith(("observation", "action"))
    }  # fmt: skip
    more = {"vcodec": codec} if codec else {}
    create = import_lerobot().LeRobotDataset.create
    dataset = create("bench/x", contract.fps, features, root=folder, use_videos=bool(codec), **more)
    for episode in episodes:
        for step in range(len(episode["actions"])):
            images = {fmt.image_key(c.role): episode[f"image/{c.role}"][step] for c in contract.cameras}
            numbers = {fmt.STATE_KEY: episode["state"][step], fmt.ACTION_KEY: episode["actions"][step]}
            dataset.add_frame({**images, **numbers, "task": contract.prompt})
        dataset.save_episode()
    dataset.finalize()


def read_ours(folder: Path, order: np.ndarray) -> Iterator[tuple[str, Callable[[], None]]]:
    dataset, cache = Dataset(folder), tempfile.mkdtemp()
    px = dataset.contract.image_px
    yield "decode once", lambda: frame_cache(dataset, px, Path(cache)) and None
    frames = frame_cache(dataset, px, Path(cache))
    last = np.repeat(np.cumsum(dataset.lengths) - 1, dataset.lengths)

    def read() -> None:
        for row in order:
            chunk = dataset.actions[np.minimum(row + np.arange(HORIZON), last[row])]
            assert all(np.array(frames[role][row]).any() for role in dataset.roles) and len(chunk) == HORIZON

    yield "read", read


def read_theirs(folder: Path, order: np.ndarray, fps: int) -> Iterator[tuple[str, Callable[[], None]]]:
    times = {fmt.ACTION_KEY: [step / fps for step in range(HORIZON)]}
    opened = import_lerobot().LeRobotDataset("bench/x", root=folder, delta_timestamps=times, video_backend="pyav")
    yield "read", lambda: [opened[int(row)] for row in order] and None


def measure(episodes: Episodes, contract: Contract) -> dict[str, float]:
    """CPU and wall ms per frame of everything, once, and kB per frame on disk."""
    frames, found = sum(len(episode["actions"]) for episode in episodes), dict[str, float]()
    order = np.random.default_rng(0).permutation(frames)

    def clocked(name: str, action: Callable[[], Any]) -> None:
        cpu, wall = cpu_s(), time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            action()
        found[f"{name}: cpu_ms"] = 1e3 * (cpu_s() - cpu) / frames
        found[f"{name}: wall_ms"] = 1e3 * (time.perf_counter() - wall) / frames

    for kind in FORMS:
        for who, write in (("ours", write_ours), ("lerobot", write_theirs)):
            with tempfile.TemporaryDirectory() as top:
                folder = Path(top) / "dataset"
                clocked(f"{who} {kind} write", lambda: write(folder, episodes, contract, kind))  # noqa: B023
                size = sum(file.stat().st_size for file in folder.rglob("*") if file.suffix in (".parquet", ".mp4"))
                found[f"{who} {kind}: kb"] = size / frames / 1e3
                steps = read_ours(folder, order) if who == "ours" else read_theirs(folder, order, contract.fps)
                for name, action in steps:
                    clocked(f"{who} {kind} {name}", action)
    return found


def main() -> None:
    options = report.options_of_demos(__doc__)
    contract = Contract.load(options.demos)
    episodes = load(options.demos, options.episodes, contract)
    measure(episodes[:1], contract)  # imports and first calls are not counted
    runs = [measure(episodes, contract) for _ in range(options.repeats)]
    medians = {name: float(np.median([run[name] for run in runs])) for name in runs[0]}
    for name, value in medians.items():
        report.show({name: value})
    result = {
        "what": "LeRobot data sets written from demos in memory, read in random order with 20 actions; per frame of all cameras",
        "frames": sum(len(episode["actions"]) for episode in episodes),
        "cameras": [[camera.role, camera.width_px, camera.height_px] for camera in contract.cameras],
        "repeats": options.repeats,
        "medians": medians,
        "runs": runs,
    }
    report.write(
        "data_forms", options.device, result, ("lerobot", "datasets", "numpy", "pyarrow", "pillow", "torch", "av")
    )


if __name__ == "__main__":
    main()
