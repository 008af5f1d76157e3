"""Rates of finished runs as rows of benchmarks/results/six_tasks.json, and the README's table made of them: nothing is typed.

    python -m benchmarks.six_tasks RUN... --device NAME     # rows of these runs go in, then the table
    python -m benchmarks.six_tasks                          # the table alone

Each finished evaluation of a run on at least 100 scenes is a row: task, camera, seeds, k of n with the Wilson interval, demos,
minutes that the run recorded (null where it recorded none), the command that makes it again, and device and versions of its
training. A row of the same run name, device and evaluation replaces the older one. The table stands between two marks.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS
from pirig.comparison.collect import Evaluation, Run, collect
from pirig.comparison.published import shipped
from pirig.comparison.statistics import fisher_exact
from pirig.files.atomic import write_text

FILE = RESULTS / "six_tasks.json"
README = RESULTS.parent.parent / "README.md"
START, END = "<!-- made by python -m benchmarks.six_tasks -->", "<!-- end of what it made -->"
LEAST_SCENES = 100
THEIRS = "lab's pi0 after RL"
SAID = ("run", "device", "evaluation")  # what makes two rows the same
STAGES = ("demos", "warm_up", "train", "eval")
# what a command says where a run's config differs from its experiment's file
SHOWN = (
    "size.name",
    "camera.name",
    "train.steps",
    "train.batch_size",
    "train.seed",
    "train.scenes_per_batch",
    "train.idle_steps",
    "train.shift_px",
    "train.state_noise",
    "schedule.peak_lr",
    "demos.count",
    "demos.disturb_held",
    "scenes.count",
    "scenes.near_demos",
    "tower.warm_up.steps",
    "tower.warm_up.peak_lr",
    "tower.warm_up.places",
    "eval.execute",
)


def rows_of(run: Run, device: str) -> list[dict[str, Any]]:
    """Of a run's finished evaluations; one of fewer scenes than LEAST_SCENES is left out."""
    done = [evaluation for evaluation in run.evaluations if evaluation.finished]
    return [_row(run, evaluation, device) for evaluation in done if evaluation.rows["policy"].n >= LEAST_SCENES]


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
    """Of the stages that left a record in the run's folder, all their tries together; None: no record, or it was there."""
    spent = {cost.stage: round(cost.minutes, 1) for cost in run.costs}
    return {stage: spent.get(stage) or None for stage in STAGES}


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


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown, a line a row in their order; beside the lab's rate of the task, with Fisher's p of the two."""
    labs = {row.task: row for row in shipped() if row.name == THEIRS and row.n}
    lines = ["| task | success | interval | the lab's pi0 after RL | trained on | minutes | device |", "|" + "---|" * 7]
    for row in rows:
        lab = labs.get(row["task"])
        beside = f"{lab.k}/{lab.n}, {_p(fisher_exact(row['k'], row['n'], lab.k, lab.n))}" if lab else ""
        corrections = f" and {row['corrections']} corrections" if row["corrections"] else ""
        how = (
            f"{row['demos']} demos{corrections}, {row['steps']} steps of {row['batch_size']}, seed {row['train_seed']}"
        )
        name = row["task"] + ("" if row["size"] == "tiny" else f", `size={row['size']}`")
        camera = "" if row["camera"] == "close" else f", `camera={row['camera']}`"
        success, interval = f"**{row['k']}/{row['n']}**", f"{row['low']:.1%} to {row['high']:.1%}"
        lines.append(
            f"| {name}{camera} | {success} | {interval} | {beside} | {how} | {_spent(row['minutes'])} | {row['device']} |"
        )
    return "\n".join(lines)


def _p(value: float) -> str:
    return "p < 0.0001" if value < 1e-4 else f"p {value:.2g}"


def _spent(minutes: dict[str, float | None]) -> str:
    return ", ".join(f"{stage.replace('_', ' ')} {spent:g}" for stage, spent in minutes.items() if spent is not None)


def with_table(page: str, made: str) -> str:
    """`page` with what stands between the two marks replaced; ValueError where they are not there once each."""
    if page.count(START) != 1 or page.count(END) != 1 or page.index(START) > page.index(END):
        raise ValueError(
            f"README.md: expected {START} once and {END} once behind it; put them where the table belongs."
        )
    before, after = page[: page.index(START)], page[page.index(END) :]
    return f"{before}{START}\n\n{made}\n\n{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--device", help="what they ran on, such as NVIDIA-H200-16cores")
    options = parser.parse_args()
    if options.runs and not options.device:
        parser.error("runs need --device, what they ran on: no run says it, and it need not be this machine")
    runs = collect(options.runs) if options.runs else []
    new = [row for run in runs for row in rows_of(run, options.device)]
    old = json.loads(FILE.read_text()) if FILE.is_file() else []
    rows = merged(old, new)
    page = with_table(README.read_text(), table(rows))
    write_text(FILE, json.dumps(rows, indent=2) + "\n")
    write_text(README, page)
    for row in new:
        print(
            f"{row['task']:20} {row['size']:6} {row['k']}/{row['n']} [{row['low']:.1%}, {row['high']:.1%}]  {row['run']}"
        )


if __name__ == "__main__":
    main()
