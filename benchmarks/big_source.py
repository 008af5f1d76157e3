"""Memory and time of `pirig demos` and `pirig convert` on a large ManiSkill trajectory file with pictures.

    python -m benchmarks.big_source [--gb 10] [--px 512] [--steps 250] [--workers 2] [--device NAME]

The file is made up: each episode begins with the frame that the simulator shows for its seed, so that its pictures are taken and
not rendered; of the others every tenth is that frame moved, the rest are chunks that were never written (black), so the file is
small on the disk and large to whoever reads it. Memory is that of the command and all its children together, asked ten times
a second: shared pages once (PSS), and as the sum of what each has (RSS).
Writes benchmarks/results/big_source-<device>-<date>.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks import report
from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.contract import Contract
from pirig.demos.maniskill.replay import open_own

SETTINGS = ["task=push_cube", "camera=nowrist"]
WRITTEN_EVERY = 10
ASKED_EVERY_S = 0.1


def make(path: Path, contract: Contract, episodes: int, steps: int) -> int:
    """Writes the .h5 and its .json; bytes of the pictures."""
    sim, entries, size = open_own(contract), [], 0
    camera, draw = contract.cameras[0], np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for seed in range(episodes):
            sim.reset(seed)
            shown = sim.observe()
            first, group = shown.images[camera.role], file.create_group(f"traj_{seed}")
            frames = group.create_dataset(
                f"obs/sensor_data/{camera.sensor}/rgb", (steps + 1, *first.shape), np.uint8, chunks=(1, *first.shape),
                compression="lzf",
            )  # fmt: skip
            for step in range(0, steps + 1, WRITTEN_EVERY):
                frames[step] = np.roll(first, step, axis=1)
            size += frames.nbytes
            for name, place in (("qpos", "agent/qpos"), ("tcp_pose", "extra/tcp_pose"), ("goal_pos", "extra/goal_pos")):
                if name in shown.numbers:
                    group[f"obs/{place}"] = np.tile(shown.numbers[name], (steps + 1, 1))
            group["actions"] = draw.uniform(-0.5, 0.5, (steps, contract.action_dim)).astype(np.float32)
            group["success"] = np.arange(steps) == steps - 1
            entries.append(
                {
                    "episode_id": seed,
                    "episode_seed": seed,
                    "control_mode": contract.control_mode,
                    "elapsed_steps": steps,
                    "success": True,
                    "reset_kwargs": {"seed": seed},
                }
            )
            print(f"made {seed + 1} of {episodes} episodes", file=sys.stderr, flush=True)
    kwargs = {"robot_uids": contract.robot_uid, "sensor_configs": {"shader_pack": contract.shader}}
    about = {
        "env_info": {"env_id": contract.env_id, "env_kwargs": kwargs},
        "episodes": entries,
        "source_type": "made up",
    }
    path.with_suffix(".json").write_text(json.dumps(about))
    return size


def family(pid: int) -> list[int]:
    """A process and all its children that are there."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def held_gb(pids: list[int]) -> tuple[float, float]:
    """PSS and RSS."""
    pss = rss = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        kb = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
        pss, rss = pss + kb.get("Pss", 0), rss + kb.get("Rss", 0)
    return pss / 1e6, rss / 1e6


def measured(command: list[str]) -> dict[str, Any]:
    """Peak memory (GB), seconds and CPU seconds of a command that succeeds."""
    began, before = time.monotonic(), os.times()
    with subprocess.Popen(command) as process:
        pss = rss = 0.0
        while process.poll() is None:
            now = held_gb(family(process.pid))
            pss, rss = max(pss, now[0]), max(rss, now[1])
            time.sleep(ASKED_EVERY_S)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit status {process.returncode}")
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {"peak_pss_gb": pss, "peak_rss_gb": rss, "wall_s": time.monotonic() - began, "cpu_s": cpu}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gb", type=float, default=10.0)
    parser.add_argument("--px", type=int, default=512)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", default=report.MACHINE)
    asked = parser.parse_args()
    settings = [*SETTINGS, f"camera.resolution_px={asked.px}"]
    episodes = max(2, round(asked.gb * 1e9 / (3 * asked.px**2 * (asked.steps + 1))))
    with tempfile.TemporaryDirectory(prefix="pirig-big-") as name:
        file = Path(name) / "big.h5"
        size = make(file, contract_of(compose(settings)), episodes, asked.steps)
        given = [
            *settings,
            f"demos.path={file}",
            f"demos.count={episodes}",
            f"demos.workers={asked.workers}",
            f"run.root={name}/out",
        ]
        rows = []
        for verb in ("demos", "convert"):
            row = {"verb": verb, **measured([sys.executable, "-m", "pirig", verb, *given])}
            row["mb_per_s"] = size / 1e6 / row["wall_s"]
            report.show(row)
            rows.append(row)
        found = {
            "what": "memory of `pirig demos` and `pirig convert` on one large ManiSkill trajectory file with pictures",
            "pictures_gb": size / 1e9,
            "file_gb": file.stat().st_size / 1e9,
            "episodes": episodes,
            "steps": asked.steps,
            "px": asked.px,
            "workers": asked.workers,
            "rows": rows,
        }
    report.write("big_source", asked.device, found, ("h5py", "numpy", "pyarrow", "mani_skill"))


if __name__ == "__main__":
    main()
