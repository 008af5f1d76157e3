"""CPU ms per frame of our LeRobot writer beside lerobot's own add_frame/save_episode, on the same demos in one run.

    python -m benchmarks.convert DEMOS_FOLDER [--episodes 4] [--repeats 3] [--device NAME]

Needs the real lerobot (`make test-lerobot` installs it). The episodes are in memory before the clock starts; CPU time
is that of the whole process with all its threads. Writes benchmarks/results/convert-<device>-<date>.json.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from pirig.contract import Contract
from pirig.datasets.lerobot import format as fmt
from pirig.datasets.lerobot.read import Dataset
from pirig.datasets.lerobot.write import LeRobotWriter
from pirig.demos.manifest import episode_files, read_episode
from pirig.transforms.state import build_state
from tests.datasets.real_lerobot import import_lerobot

Episodes = list[dict[str, np.ndarray]]


def load(folder: Path, count: int, contract: Contract) -> Episodes:
    """Episodes in memory: `state`, `actions` and one `image/<role>` per camera."""
    found = []
    for file in episode_files(folder)[:count]:
        episode = read_episode(file)
        images = {f"image/{c.role}": episode[f"image/{c.role}"] for c in contract.cameras}
        found.append({"state": build_state(contract.state, episode), "actions": episode["actions"], **images})
    return found


def write_ours(folder: Path, episodes: Episodes, contract: Contract) -> None:
    with LeRobotWriter(folder, contract) as writer:
        for seed, episode in enumerate(episodes):
            images = {c.role: episode[f"image/{c.role}"] for c in contract.cameras}
            writer.add_episode(images, episode["state"], episode["actions"], seed=seed)
        writer.finish({})


def write_theirs(folder: Path, episodes: Episodes, contract: Contract) -> None:
    lerobot = import_lerobot()
    features = {
        key: feature | {"shape": tuple(feature["shape"])}
        for key, feature in fmt.features(contract, {}).items()
        if key.startswith(("observation", "action"))
    }
    dataset = lerobot.LeRobotDataset.create("bench/x", contract.fps, features, root=folder, use_videos=False)
    for episode in episodes:
        for step in range(len(episode["actions"])):
            images = {fmt.image_key(c.role): episode[f"image/{c.role}"][step] for c in contract.cameras}
            numbers = {fmt.STATE_KEY: episode["state"][step], fmt.ACTION_KEY: episode["actions"][step]}
            dataset.add_frame({**images, **numbers, "task": contract.prompt})
        dataset.save_episode()
    dataset.finalize()


def measure(write: Callable[..., None], episodes: Episodes, contract: Contract) -> dict[str, Any]:
    """One run: CPU and wall ms per frame (a frame has all cameras) and kB per frame on disk."""
    frames = sum(len(episode["actions"]) for episode in episodes)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "dataset"
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        write(target, episodes, contract)
        cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
        size = sum(file.stat().st_size for file in target.rglob("*.parquet"))
        if write is write_ours:
            require_lossless(Dataset(target), episodes)
    return {"cpu_ms": 1e3 * cpu_s / frames, "wall_ms": 1e3 * wall_s / frames, "kb": size / frames / 1e3}


def require_lossless(dataset: Dataset, episodes: Episodes) -> None:
    for number, episode in enumerate(episodes):
        row = dataset.offsets[number]
        for role in dataset.roles:
            assert (dataset.image(role, row) == episode[f"image/{role}"][0]).all()


def main() -> None:
    options = report.options_of_demos(__doc__)
    contract = Contract.load(options.demos)
    episodes = load(options.demos, options.episodes, contract)
    ways = {"ours": write_ours, "lerobot": write_theirs}
    for write in ways.values():  # imports and first calls are not counted
        measure(write, episodes[:1], contract)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    for _ in range(options.repeats):
        for name, write in ways.items():
            runs[name].append(measure(write, episodes, contract))
            report.show({"writer": name, **runs[name][-1]})
    medians = {
        name: {key: float(np.median([run[key] for run in found])) for key in found[0]} for name, found in runs.items()
    }
    result = {
        "what": "LeRobot data set from demos in memory; per frame of all cameras; median of the repeats",
        "episodes": len(episodes),
        "frames": sum(len(episode["actions"]) for episode in episodes),
        "cameras": [[camera.role, camera.width_px, camera.height_px] for camera in contract.cameras],
        "env_id": contract.env_id,
        "repeats": options.repeats,
        "medians": medians,
        "runs": runs,
        "cpu_ratio": medians["lerobot"]["cpu_ms"] / medians["ours"]["cpu_ms"],
        "wall_ratio": medians["lerobot"]["wall_ms"] / medians["ours"]["wall_ms"],
    }
    print(f"lerobot / ours: {result['cpu_ratio']:.1f} x CPU, {result['wall_ratio']:.1f} x wall")
    packages = ("lerobot", "datasets", "numpy", "pyarrow", "pillow", "torch")
    report.write("convert", options.device, result, packages)


if __name__ == "__main__":
    main()
