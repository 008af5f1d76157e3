"""Rates of finished runs as rows of benchmarks/results/six_tasks.json: from the run folders, nothing is typed.

    python -m benchmarks.six_tasks RUN... --device NAME

Each finished evaluation of a run is a row: task, camera, seeds, k of n with the Wilson interval, demos, minutes that the run
recorded (null where it recorded none), the command that makes it again, and device and versions of its training. A row of the
same run name, device and evaluation replaces the older one.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS
from pirig.comparison.collect import Evaluation, Run, collect
from pirig.files.atomic import write_text

FILE = RESULTS / "six_tasks.json"
SAID = ("run", "device", "evaluation")  # what makes two rows the same
STAGES = ("demos", "warm_up", "train", "eval")
# what a command says where a run's config differs from its experiment's file
SHOWN = (
    "size.name",
    "camera.name",
    "train.steps",
    "train.batch_size",
    "train.seed",
    "schedule.peak_lr",
    "demos.count",
    "tower.warm_up.steps",
    "eval.execute",
)


def rows_of(run: Run, device: str) -> list[dict[str, Any]]:
    return [_row(run, evaluation, device) for evaluation in run.evaluations if evaluation.finished]


def _row(run: Run, evaluation: Evaluation, device: str) -> dict[str, Any]:
    policy, config = evaluation.rows["policy"], run.config
    corrections = run.data_set.get("corrections", 0)
    return {
        "task": config["task.name"],
        "camera": config["camera.name"],
        "size": config["size.name"],
        "train_seed": config["train.seed"],
        "k": policy.k,
        "n": policy.n,
        "low": round(policy.low, 4),
        "high": round(policy.high, 4),
        "first_eval_seed": policy.first_seed,
        "demos": run.data_set.get("episodes", config.get("demos.count")) - corrections,
        "corrections": corrections,
        "steps": evaluation.step,
        "batch_size": config["train.batch_size"],
        "minutes": _minutes(run),
        "funnel": policy.sub_goals,
        "untrained": _counted(evaluation, "untrained"),
        "oracle": _counted(evaluation, "oracle"),
        "command": _command(run),
        "run": run.folder.name,
        "evaluation": evaluation.folder.name,
        "device": device,
        "versions": run.environment.get("versions", {}),
    }


def _minutes(run: Run) -> dict[str, float | None]:
    """Of the stages that left a record in the run's folder; what was there already took none."""
    spent = {cost.stage: round(cost.minutes, 1) for cost in run.costs}
    return {stage: spent.get(stage) for stage in STAGES}


def _counted(evaluation: Evaluation, name: str) -> str | None:
    count = evaluation.rows.get(name)
    return f"{count.k}/{count.n}" if count else None


def _command(run: Run) -> str:
    config, told = run.config, run.lineage
    if told:
        folder = told["parent"].partition(" at step ")[0]
        return f"pirig improve outputs/{folder} improve={told['method']} improve.steps={config['train.steps']}"
    words = [f"experiment={config['run.experiment']}", f"task={config['task.name']}"]
    names = {"size.name": "size", "camera.name": "camera"}
    words += [f"{names.get(key, key)}={config[key]}" for key in SHOWN if key in config]
    return "pirig pipeline " + " ".join(words)


def merged(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sorted by task and rate."""
    said = {tuple(row[key] for key in SAID) for row in new}
    rows = [row for row in old if tuple(row.get(key) for key in SAID) not in said] + new
    return sorted(rows, key=lambda row: (row["task"], row["device"], -row["k"] / row["n"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--device", required=True, help="what it ran on, such as NVIDIA-H200-16cores")
    options = parser.parse_args()
    new = [row for run in collect(options.runs) for row in rows_of(run, options.device)]
    old = json.loads(FILE.read_text()) if FILE.is_file() else []
    write_text(FILE, json.dumps(merged(old, new), indent=2) + "\n")
    for row in new:
        print(
            f"{row['task']:20} {row['size']:6} {row['k']}/{row['n']} [{row['low']:.1%}, {row['high']:.1%}]  {row['run']}"
        )


if __name__ == "__main__":
    main()
