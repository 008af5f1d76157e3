"""`pirig pipeline`: demos, convert, stats, train, eval, and a summary of where everything is."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from pirig.config.checks import goal_is_seen
from pirig.config.places import Places, places_of
from pirig.config.schema import Config
from pirig.files.atomic import write_text
from pirig.files.records import read_record
from pirig.runs.lock import held
from pirig.runs.progress import newest_checkpoint
from pirig.runs.record import open_run, recorded, set_status
from pirig.runs.stages import measured
from pirig.stages import convert, demos, eval, stats, train, warm_up
from pirig.stages.entry import require_startable, set_memory

if TYPE_CHECKING:
    from pirig.evaluation.measured import Measured
    from pirig.files.tables import Column

LOSS_WINDOW = 100  # as in training


def run(config: Config) -> int:
    places = places_of(config)
    set_memory(config)
    eval.require_simulator(config, places)
    train.check_parts(config)
    require_startable(config, places, with_data=True)
    with held(places.run):
        open_run(config, places)
        with recorded(places.run, "pipeline"):
            return _run(config, places)


def finish(config: Config, places: Places) -> None:
    """Evaluation and summary of a run that other jobs trained."""
    from pirig.training.metrics import read_rows

    started_s, checkpoint = time.monotonic(), newest_checkpoint(places.run)
    measured = eval.make(config, places)
    assert checkpoint is not None  # or the evaluation had refused
    made = read_record(checkpoint / "resume.json", "step", "seconds")
    losses = [row["loss"] for row in read_rows(places.run / "metrics.jsonl")[-LOSS_WINDOW:]]
    trained = {"steps": made["step"], "seconds": round(made["seconds"], 1), "loss": sum(losses) / max(len(losses), 1)}
    _close(config, places, trained, measured, made["seconds"] + time.monotonic() - started_s)


def _run(config: Config, places: Places) -> int:
    folder, started_s = places.run, time.monotonic()
    _data(config, places)
    ready = train.prepare(config, places)  # before the warm-up, so that what it refuses costs no minutes of it
    _warm_up(config, places)
    print("== 4/5 train, 5/5 eval", flush=True)
    result = train.fit(config, places, ready)
    if result.stopped:
        set_status(folder, "train", "stopped", steps=result.steps)
        print(f"stopped at step {result.steps}; the same command with run.mode=resume goes on")
        return 130
    measured = eval.make(config, places)
    trained = {"steps": result.steps, "seconds": round(result.seconds, 1), "loss": result.loss}
    _close(config, places, trained, measured, time.monotonic() - started_s)
    return demos.left_out_status(config, places)


def _close(config: Config, places: Places, trained: dict[str, Any], measured: Measured, seconds: float) -> None:
    summary = _summary(config, places, trained, measured, seconds)
    write_text(places.summary, json.dumps(summary, indent=2) + "\n")
    set_status(places.run, "pipeline", "done")
    _print(places, summary, measured)


def _data(config: Config, places: Places) -> None:
    steps = (("1/5 demos", demos.make), ("2/5 convert", convert.make), ("3/5 stats", stats.make))
    for name, make in steps:
        print(f"== {name}", flush=True)
        set_status(places.run, name.split()[1], "running")
        with measured(places.run, name.split()[1]):
            make(config, places)


def _warm_up(config: Config, places: Places) -> None:
    if config.tower.warm_up.steps:
        print("== scenes and warm-up, before train", flush=True)
        set_status(places.run, "warm_up", "running")
        with measured(places.run, "warm_up"):
            warm_up.make(config, places)


def _summary(
    config: Config, places: Places, trained: dict[str, Any], measured: Measured, seconds: float
) -> dict[str, Any]:
    from pirig.datasets.from_recording import left_out

    bad = left_out(config, places)
    return {
        "task": config.task.name,
        "experiment": config.run.experiment,
        "run": config.run.name,
        "contract_hash": places.contract.hash,
        "train": trained,
        "eval": measured.plain(),
        "goal_observable": goal_is_seen(config),
        **({"left_out": bad} if bad else {}),
        "seconds": round(seconds, 1),
    }


def _print(places: Places, summary: dict[str, Any], measured: Measured) -> None:
    from pirig.files import tables
    from pirig.files.console import console

    screen = console()
    if measured.closed_loop:
        title = f"{summary['task']}: success rate, Wilson 95 % interval"
        tables.show(screen, _rates(summary["task"], measured), title, "summary.json has them")
    else:
        print("\n".join(measured.lines()))
    trained = summary["train"]
    print(f"trained {trained['steps']} steps in {trained['seconds']:.0f} s, loss {trained['loss']:.4f}")
    for label, path in (
        ("run", places.run),
        ("summary", places.summary),
        ("loss curve", places.run / "loss.png"),
        ("videos" if measured.closed_loop else "errors", places.evaluations),
        ("checkpoints", places.checkpoints),
        *(("data set", own.data_set) for own in places.of_tasks),
    ):
        print(f"{label:12} {path}")


def _rates(task: str, measured: Measured) -> list[Column]:
    from pirig.files.tables import Column

    of_tasks = {f"{name}, {task}": row for task, rows in measured.tasks.items() for name, row in rows.items()}
    named = {**measured.rates, **of_tasks}
    rows = named.values()
    return [
        Column("row", list(named), folds=True),
        Column("once", [f"{row.k / row.n:.1%}" for row in rows], drop=1),
        Column("interval", [f"{row.low:.1%} to {row.high:.1%}" for row in rows]),
        Column("at the end", [f"{row.k_at_end}/{row.n}" for row in rows], drop=2),
        Column("episodes", [f"{row.k}/{row.n}" for row in rows]),
    ]
