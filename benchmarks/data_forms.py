"""CPU ms per frame of our writer and reader in every form, beside lerobot's own, on the same demos in one run.

    python -m benchmarks.data_forms DEMOS_FOLDER [--episodes 4] [--repeats 3] [--device NAME]

With 1 and 2 cameras (the second shows what the first does, moved), and with 1 and 2 workers: ours are a thread for each processor
that the process may use; lerobot writes in one thread, and reads in as many processes of torch's DataLoader.
Writing: episodes are in memory before the clock starts. Reading, in random order: ours is the decoded frames in a memory map
that training reads (its making is a row of its own) and a chunk of 20 actions; lerobot's is its dataset with delta_timestamps of
20 actions. CPU time is that of the process and of those that it started. Needs the real lerobot (`make test-lerobot`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
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
from pirig.datasets.frame_cache import frame_cache
from pirig.datasets.lerobot import format as fmt
from pirig.datasets.lerobot.read import Dataset
from pirig.datasets.lerobot.write import Form, LeRobotWriter
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


def read_theirs(folder: Path, order: np.ndarray, fps: int, workers: int) -> Iterator[tuple[str, Callable[[], None]]]:
    from torch.utils.data import DataLoader

    times = {fmt.ACTION_KEY: [step / fps for step in range(HORIZON)]}
    opened = import_lerobot().LeRobotDataset("bench/x", root=folder, delta_timestamps=times, video_backend="pyav")
    loader = DataLoader(opened, batch_size=None, sampler=order.tolist(), num_workers=workers if workers > 1 else 0)
    yield "read", lambda: [None for _ in loader] and None


def of_cameras(episodes: Episodes, contract: Contract, count: int) -> tuple[Episodes, Contract]:
    """With the first camera, or with it and another that shows the same, moved."""
    first = contract.cameras[0]
    cameras = [first, dataclasses.replace(first, role="left_wrist_0_rgb", sensor="moved")][:count]
    images = [episode[f"image/{first.role}"] for episode in episodes]
    changed = [
        {**episode, **{f"image/{camera.role}": np.roll(shown, 9 * number, 2) for number, camera in enumerate(cameras)}}
        for episode, shown in zip(episodes, images, strict=True)
    ]
    return changed, dataclasses.replace(contract, cameras=tuple(cameras))


def measure(episodes: Episodes, contract: Contract, workers: int) -> dict[str, float]:
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
                steps = read_ours(folder, order) if who == "ours" else read_theirs(folder, order, contract.fps, workers)
                for name, action in steps:
                    clocked(f"{who} {kind} {name}", action)
    return found


def main() -> None:
    options = report.options_of_demos(__doc__)
    contract = Contract.load(options.demos)
    episodes, rows = load(options.demos, options.episodes, contract), []
    allowed = sorted(os.sched_getaffinity(0))
    measure(episodes[:1], contract, 1)  # imports and first calls are not counted
    for cameras, workers in itertools.product((1, 2), (1, 2)):
        os.sched_setaffinity(0, allowed[:workers])
        given = of_cameras(episodes, contract, cameras)
        runs = [measure(*given, workers) for _ in range(options.repeats)]
        medians = {name: float(np.median([run[name] for run in runs])) for name in runs[0]}
        rows.append({"cameras": cameras, "workers": workers, "medians": medians, "runs": runs})
        for name, value in medians.items():
            report.show({"cameras": cameras, "workers": workers, name: value})
    result = {
        "what": "LeRobot data sets written from demos in memory, read in random order with 20 actions; per frame of all cameras",
        "frames": sum(len(episode["actions"]) for episode in episodes),
        "px": [contract.cameras[0].width_px, contract.cameras[0].height_px],
        "repeats": options.repeats,
        "rows": rows,
    }
    report.write(
        "data_forms", options.device, result, ("lerobot", "datasets", "numpy", "pyarrow", "pillow", "torch", "av")
    )


if __name__ == "__main__":
    main()
