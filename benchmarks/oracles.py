"""The oracle of every task and camera: planned demos, converted, then replayed through the evaluation's path.

    python -m benchmarks.oracles [--root outputs] [--episodes 20] [--tasks pick_cube,...] [--cameras wrist,nowrist]

Adds one entry per task and camera to benchmarks/results/oracles-<device>.json: seeds kept of tried by the planner, and how
many of the data set's own episodes succeed (once, and at the end), and what the gates of training say of the data set
(nothing, since it is a healthy one). Data sets that are there already are used again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from benchmarks.report import RESULTS
from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.files.atomic import write_text
from pirig.sim.maniskill import renderer

TASKS = ("pick_cube", "stack_cube", "push_cube", "pull_cube", "place_sphere", "peg_insertion_side")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default="outputs")
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--cameras", default="nowrist,wrist")
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--device", default="cpu-2cores")
    asked = parser.parse_args()
    renderer.configure()
    renderer.limit_threads()
    path = RESULTS / f"oracles-{asked.device}.json"
    entries = json.loads(path.read_text())["oracles"] if path.is_file() else {}
    for camera in asked.cameras.split(","):
        for task in asked.tasks.split(","):
            entries[f"{task}/{camera}"] = entry = oracle(asked.root, task, camera, asked.episodes, asked.resolution)
            versions = {name: version(name) for name in ("mani-skill", "sapien", "torch", "numpy")}
            found = {"date": time.strftime("%Y-%m-%d"), "machine": platform.machine(), "versions": versions}
            write_text(path, json.dumps(found | {"oracles": dict(sorted(entries.items()))}, indent=2) + "\n")
            print(f"{task:20} {camera:8} kept {entry['kept']} of {entry['tried']}, oracle {entry['k']}/{entry['n']}")
            print("\n".join(entry["gates_raised"]) or f"{len(entry['gates'])} gates say nothing", flush=True)
    short = [name for name, entry in entries.items() if entry["k"] < entry["n"] or entry["gates_raised"]]
    if short:
        print(f"below 100 %, or not healthy: {', '.join(short)}", file=sys.stderr)
    return 1 if short else 0


def oracle(root: str, task: str, camera: str, episodes: int, resolution: int) -> dict[str, object]:
    from pirig.datasets.lerobot.read import Dataset
    from pirig.demos.manifest import DemosManifest
    from pirig.evaluation.drivers import DemoDriver
    from pirig.evaluation.results import ResultsFile, sub_goals
    from pirig.evaluation.rollouts import roll_out
    from pirig.evaluation.workers import WorkerPool
    from pirig.gates import data
    from pirig.gates.simulated import demo_actions
    from pirig.stages import convert, demos, stats
    from pirig.transforms.normalize import load_norm_stats

    numbers = [f"run.root={root}", f"demos.count={episodes}", f"camera.resolution_px={resolution}"]
    config = compose([f"task={task}", f"camera={camera}", *numbers])
    places = places_of(config)
    contract = places.contract
    demos.make(config, places)
    dataset = Dataset(convert.make(config, places))
    norm_stats = load_norm_stats(stats.make(config, places))
    manifest = DemosManifest.load(places.demos)
    actions = {seed: demo_actions(dataset, None, episode) for episode, seed in enumerate(dataset.seeds)}
    with tempfile.TemporaryDirectory() as scratch, WorkerPool(contract, config.eval.workers) as pool:
        results = ResultsFile(Path(scratch))
        driver = DemoDriver(actions)
        roll_out(pool, driver, dataset.seeds, max_steps=max(dataset.lengths), results=results, label=f"oracle {task}")
        found = results.results(dataset.seeds)
        rate = dataclasses.asdict(results.rate(dataset.seeds))
    planned = {"kept": manifest.kept, "tried": manifest.tried, "lengths": [min(dataset.lengths), max(dataset.lengths)]}
    more = {"seeds": [dataset.seeds[0], dataset.seeds[-1]], "robot": contract.robot_uid, "resolution_px": resolution}
    report = data.check(dataset, norm_stats, config.model.normalization, config.gates)
    gates = {"gates": list(report.found), "gates_raised": [line for lines in report.found.values() for line in lines]}
    return rate | {"sub_goals": sub_goals(found)} | planned | more | gates


if __name__ == "__main__":
    sys.exit(main())
