"""Frames/s and CPU ms per frame of our replay with cameras beside ManiSkill's packaged replay_trajectory, in one run.

    python -m benchmarks.replay [--task push_cube] [--camera nowrist] [--px 128] [--episodes 6] [--device NAME]

Both get the same planned trajectory file (pd_joint_pos), convert it to the contract's control mode and store rgb frames,
each in one process of its own. Start-up is taken out: every tool runs twice, over 1 and over all episodes, and the
difference is divided by the difference in frames. Writes benchmarks/results/replay-<device>-<date>.json.
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

from benchmarks import report
from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.config.schema import Config
from pirig.demos.manifest import DemosManifest
from pirig.demos.maniskill.planner import PLANNING_MODE, find_solver
from pirig.sim.maniskill import renderer


def plan_file(config: Config, count: int, folder: Path) -> Path:
    """A ManiSkill trajectory file of `count` planned episodes, recorded by ManiSkill's own wrapper, without images."""
    import gymnasium
    from mani_skill.utils.wrappers.record import RecordEpisode

    contract = contract_of(config)
    env = gymnasium.make(
        contract.env_id, obs_mode="none", control_mode=PLANNING_MODE, robot_uids=contract.robot_uid, sim_backend="cpu"
    )
    env = RecordEpisode(env, str(folder), trajectory_name="trajectory", save_video=False, source_type="motionplanning")
    solve, seed, kept = find_solver(config.task), 0, 0
    while kept < count:
        result = solve(env, seed=seed, debug=False, vis=False)
        good = not isinstance(result, int) and bool(result[-1]["success"].item())
        env.flush_trajectory(save=good)
        kept += good
        seed += 1
    env.close()
    return folder / "trajectory.h5"


def ours(config_words: list[str], source: Path, count: int, folder: Path) -> list[str]:
    more = [f"demos.path={source}", f"demos.count={count}", "demos.workers=1", f"run.root={folder}"]
    return [sys.executable, "-m", "pirig", "demos", *config_words, *more]


def theirs(source: Path, count: int, mode: str) -> list[str]:
    words = ["--traj-path", str(source), "-o", "rgb", "-c", mode, "--save-traj", "--count", str(count), "-b", "cpu"]
    return [sys.executable, "-m", "mani_skill.trajectory.replay_trajectory", *words]


def measure(command: list[str]) -> dict[str, float]:
    """CPU seconds of the process and all its children, and wall seconds."""
    started_s = time.perf_counter()
    before = os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = os.times()
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return {"cpu_s": cpu_s, "wall_s": time.perf_counter() - started_s}


def frames_of_ours(folder: Path) -> int:
    (manifest,) = folder.rglob("manifest.json")
    return sum(DemosManifest.load(manifest.parent).lengths)


def frames_of_theirs(folder: Path, mode: str) -> int:
    import h5py

    (path,) = folder.glob(f"trajectory.rgb.{mode}*.h5")
    with h5py.File(path) as file:
        return sum(len(episode["actions"]) for episode in file.values())


def per_frame(few: dict[str, float], many: dict[str, float]) -> dict[str, float]:
    frames = many["frames"] - few["frames"]
    wall_s, cpu_s = many["wall_s"] - few["wall_s"], many["cpu_s"] - few["cpu_s"]
    return {"frames": frames, "cpu_ms": 1e3 * cpu_s / frames, "frames_per_s": frames / wall_s}


def run(words: list[str], config: Config, count: int) -> dict[str, Any]:
    mode = contract_of(config).control_mode
    found: dict[str, list[dict[str, float]]] = {"ours": [], "maniskill": []}
    for episodes in (1, count):
        with tempfile.TemporaryDirectory() as folder:
            source = plan_file(config, count, Path(folder) / "source")
            result = measure(ours(words, source, episodes, Path(folder) / "ours"))
            found["ours"].append({**result, "frames": frames_of_ours(Path(folder) / "ours")})
            result = measure(theirs(source, episodes, mode))
            found["maniskill"].append({**result, "frames": frames_of_theirs(source.parent, mode)})
    return {name: {**per_frame(*pair), "startup_and_one_episode_s": pair[0]["wall_s"]} for name, pair in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="push_cube")
    parser.add_argument("--camera", default="nowrist")
    parser.add_argument("--px", type=int, default=128)
    parser.add_argument("--episodes", type=int, default=6)
    parser.add_argument("--device", default=report.MACHINE)
    options = parser.parse_args()
    renderer.configure()
    words = [f"task={options.task}", f"camera={options.camera}", f"camera.resolution_px={options.px}"]
    words += ["allow_unobservable_goal=true"]
    found = run(words, compose(words), options.episodes)
    result = {
        "what": "replay of planned episodes into the control mode with rgb frames, one process each, start-up taken out",
        "task": options.task,
        "camera": options.camera,
        "px": options.px,
        "per_frame": found,
        "cpu_ratio": found["maniskill"]["cpu_ms"] / found["ours"]["cpu_ms"],
        "wall_ratio": found["ours"]["frames_per_s"] / found["maniskill"]["frames_per_s"],
    }
    print(json.dumps(found, indent=2))
    print(f"maniskill / ours: {result['cpu_ratio']:.2f} x CPU, {result['wall_ratio']:.2f} x wall")
    name = f"replay-{options.task}-{options.camera}"
    report.write(name, options.device, result, ("mani-skill", "sapien", "torch", "numpy"))


if __name__ == "__main__":
    main()
