"""Evaluation episodes per minute: the pool of simulators beside the usual serial loop, same policy, seeds and noise.

    python -m benchmarks.rollouts RUN_FOLDER [--episodes 8] [--workers 2] [--device NAME]
    python -m benchmarks.rollouts RUN_FOLDER --episodes 128 --num-envs 64 --batch-size 64     many scenes on a GPU as the pool

The usual loop: one environment whose observation mode renders at every step, one inference (batch 1) per executed part of
a chunk, success read from `info`, until success or the step limit. Both sides are warm (environment made, policy
compiled) before the clock starts, and run in turns. Writes benchmarks/results/rollouts-<task>-<camera>-<device>-<date>.json.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from pirig.contract import Contract
from pirig.evaluation.drivers import PolicyDriver
from pirig.evaluation.lockstep import LockstepPool
from pirig.evaluation.results import ResultsFile
from pirig.evaluation.rollouts import Request, roll_out
from pirig.evaluation.seeds import held_out_seeds, step_limit
from pirig.evaluation.workers import Pool, WorkerPool
from pirig.policies.card import PolicyCard
from pirig.policies.policy import load_policy
from pirig.runs.progress import newest_checkpoint
from pirig.sim.maniskill import renderer
from pirig.sim.maniskill.batches import scene
from pirig.sim.maniskill.env import make_env, proprioception, success_of


class SerialLoop:
    """What an evaluation script does: step, render, look at the newest frame once per executed part of a chunk."""

    def __init__(self, driver: PolicyDriver):
        self.driver, self.contract = driver, driver.policy.pipeline.contract
        self.env = make_env(self.contract)
        self.base: Any = self.env.unwrapped
        self.base._obs_mode = "rgb"

    def run(self, seeds: list[int], max_steps: int) -> dict[int, tuple[bool, int]]:
        return {seed: self._episode(seed, max_steps) for seed in seeds}

    def _episode(self, seed: int, max_steps: int) -> tuple[bool, int]:
        frame, _ = self.env.reset(seed=seed, options={"reconfigure": True})
        steps, chunk = 0, 0
        while True:
            (actions,) = self.driver.act([Request(seed, chunk, self._observation(frame))])
            chunk += 1
            for action in actions:
                frame, _, _, _, info = self.env.step(action)
                steps += 1
                if success_of(info) or steps == max_steps:
                    return success_of(info), steps

    def _observation(self, frame: dict[str, Any]) -> dict[str, np.ndarray]:
        cameras = {
            f"image/{camera.role}": frame["sensor_data"][camera.sensor]["rgb"][0].cpu().numpy().astype(np.uint8)
            for camera in self.contract.cameras
        }
        return {**scene(proprioception(self.base), 0), **cameras}


def pooled(pool: Pool, driver: PolicyDriver, seeds: list[int], max_steps: int) -> dict[int, tuple[bool, int]]:
    with tempfile.TemporaryDirectory() as folder:
        results = ResultsFile(Path(folder))
        roll_out(pool, driver, seeds, max_steps=max_steps, results=results, label="pool")
        return {result.seed: (result.success, result.steps) for result in results.results(seeds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--episodes", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--num-envs", type=int, default=0, help="scenes on a GPU in place of processes")
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--execute", type=int, default=8)
    parser.add_argument("--flow-steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default=report.MACHINE)
    options = parser.parse_args()
    renderer.configure()
    renderer.limit_threads()
    checkpoint = newest_checkpoint(options.run)
    if checkpoint is None:
        parser.error(f"{options.run}: expected a run with a checkpoint, found none")
    card = PolicyCard.load(checkpoint)
    limit = step_limit(0, 1.5, card.demo_lengths)
    seeds = held_out_seeds(100_000, options.episodes, card.demo_seeds)
    drivers = {
        size: PolicyDriver(
            load_policy(checkpoint, flow_steps=options.flow_steps, batch_size=size),
            execute=options.execute,
            noise_seed=0,
        )
        for size in {1, options.batch_size}
    }
    serial, rows = SerialLoop(drivers[1]), []
    with _pool(serial.contract, options.workers, options.num_envs) as pool:
        ways = {
            "serial": lambda some: serial.run(some, limit),
            "pool": lambda some: pooled(pool, drivers[options.batch_size], some, limit),
        }
        for way in ways.values():
            way(seeds[: options.workers])
        for _ in range(options.repeats):
            for name, way in ways.items():
                started_s = time.perf_counter()
                found = way(seeds)
                rows.append({"way": name, "seconds": time.perf_counter() - started_s, **_counts(found)})
                print(rows[-1], flush=True)
    per_minute = {
        name: 60 * len(seeds) / statistics.median(row["seconds"] for row in rows if row["way"] == name) for name in ways
    }
    contract = serial.contract
    result = {
        "what": "evaluation episodes per minute, start-up left out; median of the repeats, in turns",
        "env_id": contract.env_id,
        "cameras": [[camera.role, camera.width_px, camera.height_px] for camera in contract.cameras],
        "episodes": len(seeds),
        "step_limit": limit,
        "workers": options.workers,
        "num_envs": options.num_envs,
        "batch_size": options.batch_size,
        "execute": options.execute,
        "flow_steps": options.flow_steps,
        "episodes_per_minute": per_minute,
        "ratio": per_minute["pool"] / per_minute["serial"],
        "rows": rows,
    }
    cameras = "-".join(camera.sensor.removesuffix("_camera") for camera in contract.cameras)
    print(f"{per_minute['pool']:.1f} beside {per_minute['serial']:.1f} episodes a minute, {result['ratio']:.2f} x")
    name = f"rollouts-{contract.env_id}-{cameras}" + (f"-{options.num_envs}-scenes" if options.num_envs else "")
    report.write(name, options.device, result, ("jax", "mani-skill", "sapien", "torch", "numpy"))


def _pool(contract: Contract, workers: int, num_envs: int) -> WorkerPool | LockstepPool:
    return LockstepPool(contract, num_envs, workers) if num_envs else WorkerPool(contract, workers)


def _counts(found: dict[int, tuple[bool, int]]) -> dict[str, int]:
    return {
        "succeeded": sum(success for success, _ in found.values()),
        "steps": sum(steps for _, steps in found.values()),
    }


if __name__ == "__main__":
    main()
