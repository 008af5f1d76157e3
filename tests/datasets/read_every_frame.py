"""`python -m tests.datasets.read_every_frame FOLDER FILE.npz` beside some lerobot keeps all that it gives of a data set."""

import sys
from pathlib import Path

import numpy as np

from tests.datasets.real_lerobot import import_lerobot


def main(folder: str, out: str) -> None:
    lerobot = import_lerobot()
    dataset = lerobot.LeRobotDataset("test/ours", root=folder, video_backend="pyav", download_videos=False)
    items = [dataset[index] for index in range(len(dataset))]
    arrays = {key: np.stack([np.asarray(item[key]) for item in items]) for key in items[0] if key != "task"}
    stats = {f"stats/{key}": dataset.meta.stats[key]["mean"] for key in dataset.meta.stats}
    tasks = np.array([item["task"] for item in items])
    np.savez(Path(out), task=tasks, version=lerobot.CODEBASE_VERSION, **arrays, **stats)


if __name__ == "__main__":
    main(*sys.argv[1:])
