"""Samples/s of our batches from the frame cache beside lerobot's LeRobotDataset in a torch DataLoader, in one run.

    python -m benchmarks.loader DATASET [--batch 32] [--horizon 16] [--ours 200] [--theirs 20] [--workers 0,2] [--device NAME]

Both give shuffled batches of the same data set: every camera, the state, and an action chunk that repeats the last action
at an episode's end. Ours are uint8 from the memory map, with tokens; lerobot's are float32 decoded from PNG by sample. That
the first frames of both are the same pixels is checked. The cache's own cost is measured too (`build_s`: once for all runs
on a data set). Needs the real lerobot (`make test-lerobot` installs it). CPU time is the main process's, without workers.
Writes benchmarks/results/loader-<device>-<date>.json.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from pirig.datasets.frame_cache import frame_cache
from pirig.datasets.lerobot import format as fmt
from pirig.datasets.lerobot.read import Dataset
from pirig.training.batches import Batches, Prefetch
from pirig.transforms.tokenizer import BuiltinTokenizer

MAX_TOKENS = 128


def our_batches(dataset: Dataset, frames: dict[str, np.ndarray], batch: int, horizon: int) -> Batches:
    tokens, mask = BuiltinTokenizer(MAX_TOKENS).encode(dataset.contract.prompt, None)
    rows = dataset.frame_count
    tokens, mask = np.tile(tokens, (rows, 1)), np.tile(mask, (rows, 1))
    others = {"horizon": horizon, "batch_size": batch, "seed": 0}
    return Batches(frames, dataset.state, tokens, mask, dataset.actions, dataset.lengths, **others)


def their_dataset(dataset: Dataset, horizon: int) -> Any:
    from tests.datasets.real_lerobot import import_lerobot

    chunk = [step / dataset.contract.fps for step in range(horizon)]
    return import_lerobot().LeRobotDataset("bench/x", root=dataset.folder, delta_timestamps={fmt.ACTION_KEY: chunk})


def their_loader(theirs: Any, batch: int, workers: int) -> Any:
    from torch.utils.data import DataLoader

    return DataLoader(theirs, batch_size=batch, shuffle=True, num_workers=workers, drop_last=True)


def measure(
    batches: Iterator[Any], count: int, batch: int, touch: Callable[[Any], Any], ahead: int
) -> dict[str, float]:
    """`count` batches after those that are not counted: the first (imports, workers' start) and those waiting behind it."""
    for _ in range(1 + ahead):
        touch(next(batches))
    before, started_s = os.times(), time.perf_counter()
    for _ in range(count):
        touch(next(batches))
    wall_s, after = time.perf_counter() - started_s, os.times()
    cpu_s = after.user + after.system - before.user - before.system
    return {
        "samples_per_s": count * batch / wall_s,
        "wall_ms_per_sample": 1e3 * wall_s / (count * batch),
        "cpu_ms_per_sample_main_process": 1e3 * cpu_s / (count * batch),
        "batches": count,
    }


def touch_ours(batch: Any) -> int:
    """Reads every pixel's memory page, as the copy to a device does."""
    return sum(int(images[..., ::64, 0].sum()) for images in batch["images"].values())


def touch_theirs(batch: Any) -> float:
    return sum(float(value[..., ::64].sum()) for key, value in batch.items() if key.startswith("observation.images"))


def require_same(dataset: Dataset, frames: dict[str, np.ndarray], theirs: Any) -> None:
    """The same pixels and actions, where the cache has the data set's own size."""
    for row in (0, dataset.frame_count // 2):
        sample = theirs[row]
        assert np.allclose(sample[fmt.ACTION_KEY][0].numpy(), dataset.actions[row])
        for role in dataset.roles:
            image = np.round(sample[fmt.image_key(role)].numpy().transpose(1, 2, 0) * 255).astype(np.uint8)
            if image.shape == frames[role][row].shape:
                assert np.array_equal(image, frames[role][row])


def build_cache(dataset: Dataset, px: int) -> tuple[dict[str, np.ndarray], float, Any]:
    """A cache made for this run, the seconds it took, and the folder to hold on to."""
    folder = tempfile.TemporaryDirectory()
    started_s = time.perf_counter()
    return frame_cache(dataset, px, Path(folder.name)), time.perf_counter() - started_s, folder


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--horizon", type=int, default=16)
    parser.add_argument("--ours", type=int, default=200, help="batches of ours")
    parser.add_argument("--theirs", type=int, default=20, help="batches of lerobot's, for each number of workers")
    parser.add_argument("--workers", default="0,2", help="of the torch DataLoader")
    parser.add_argument("--device", default=report.MACHINE)
    return parser.parse_args()


def main() -> None:
    chosen = options()
    dataset = Dataset(chosen.dataset)
    frames, build_s, folder = build_cache(dataset, dataset.contract.image_px)
    theirs = their_dataset(dataset, chosen.horizon)
    require_same(dataset, frames, theirs)
    rows = []
    for workers in map(int, chosen.workers.split(",")):
        stream = iter(their_loader(theirs, chosen.batch, workers))
        row = measure(stream, chosen.theirs, chosen.batch, touch_theirs, ahead=2 * workers)
        rows.append({"way": "lerobot", "workers": workers, **row})
        del stream
        print(rows[-1], flush=True)
    with Prefetch(our_batches(dataset, frames, chosen.batch, chosen.horizon), 0) as stream:
        rows.append({"way": "ours", "workers": 1, **measure(stream, chosen.ours, chosen.batch, touch_ours, ahead=2)})
    print(rows[-1], flush=True)
    best = max(row["samples_per_s"] for row in rows if row["way"] == "lerobot")
    result = {
        "what": "samples/s of shuffled batches with an action chunk: frame cache beside LeRobotDataset + DataLoader",
        "frames": dataset.frame_count,
        "cameras": [[camera.role, camera.width_px, camera.height_px] for camera in dataset.contract.cameras],
        "batch": chosen.batch,
        "horizon": chosen.horizon,
        "build_s": build_s,
        "rows": rows,
        "ratio_to_the_better_dataloader": rows[-1]["samples_per_s"] / best,
    }
    folder.cleanup()
    print(f"{result['ratio_to_the_better_dataloader']:.0f} times")
    report.write("loader", chosen.device, result, ("lerobot", "datasets", "torch", "numpy", "pyarrow", "pillow"))


if __name__ == "__main__":
    main()
