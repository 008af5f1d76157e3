"""Where each run of a folder stands: by what lies in it, by its lock, and by SLURM."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pirig.comparison.success import SuccessRow
from pirig.config.places import DATA, places_of
from pirig.files.progress import clock
from pirig.files.tables import Column
from pirig.runs import lock
from pirig.runs.progress import read_status, saved_step
from pirig.sweeps import record, slurm
from pirig.sweeps.plan import is_done
from pirig.sweeps.slurm import JobState

TAIL_BYTES = 64 * 1024
DAMAGED = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OSError,
    yaml.YAMLError,
)  # of what a foreign or torn file raises
SHOWN = 150  # characters of a reason
WINDOW = 50  # steps that loss and speed are the mean of
RETRIED = ("failed", "cancelled", "stopped", "interrupted", "timeout", "gone")
STAGE_ORDER = ("data", "demos", "convert", "stats", "train", "eval", "report", "pipeline")


@dataclass(frozen=True)
class Row:
    """`state`: done, running, queued, stopped, interrupted (its owner is gone), failed, cancelled, timeout, gone.

    `jobs` are the ids that SLURM still has. `steps` is 0 where the config is not known.
    """

    folder: Path
    state: str
    stage: str
    step: int
    steps: int
    loss: float | None
    eta_s: float | None
    success: str
    jobs: tuple[str, ...]
    note: str


def find_runs(folder: Path) -> list[Path]:
    """Run folders at or up to two levels below `folder`. Raises ValueError where there is none."""
    runs = [folder] if _is_run(folder) else []
    for pattern in () if runs else ("*", "*/*"):
        runs += [path for path in folder.glob(pattern) if _is_run(path)]
    if not runs:
        raise ValueError(
            f"{folder}: no runs there; expected an experiment's folder, such as outputs/quickstart, or a run's"
        )
    return sorted(runs)


def _is_run(path: Path) -> bool:
    hidden = path.name.startswith(".") or ".old-" in path.name or path.parent.name == DATA
    return not hidden and ((path / "config.yaml").is_file() or (path / record.FILE_NAME).is_file())


def rows(folders: Iterable[Path]) -> list[Row]:
    """Of the folders that can be read."""
    return readable(folders)[0]


def readable(folders: Iterable[Path]) -> tuple[list[Row], dict[Path, str]]:
    """A row of each, with one question to SLURM for all of them; and why a folder has none: torn, or no run of ours."""
    records: dict[Path, dict[str, Any]] = {}
    left_out: dict[Path, str] = {}
    for folder in folders:
        try:
            record.newest_jobs(recorded := record.read(folder))
            records[folder] = recorded
        except DAMAGED as error:
            left_out[folder] = _reason(error)
    ids = {entry["job"] for recorded in records.values() for entry in record.newest_jobs(recorded).values()}
    known = slurm.states(ids) if ids - {""} else {}
    made = []
    for folder, recorded in records.items():
        try:
            made.append(_row(folder, recorded, known))
        except DAMAGED as error:
            left_out[folder] = _reason(error)
    return made, left_out


def _reason(error: Exception) -> str:
    line = " ".join(str(error).split())[:SHOWN]
    if isinstance(error, (KeyError, TypeError, AttributeError)):
        return f"its files are not a run's of this version: {line}"
    return f"a file in it is torn: {line}" if isinstance(error, (ValueError, yaml.YAMLError)) else line


def _row(folder: Path, recorded: dict[str, Any], known: dict[str, JobState]) -> Row:
    status = read_status(folder)
    newest = record.newest_jobs(recorded)
    jobs = {stage: known.get(entry["job"], JobState("")) for stage, entry in newest.items()}
    jobs = {stage: state for stage, state in jobs.items() if not (_is_bad(state) and _done_since(stage, recorded))}
    live = {stage: state for stage, state in jobs.items() if state.live}
    state, stage, note = _state(folder, status, newest, jobs, live)
    steps = _steps(folder, recorded)
    step, loss, step_s = _training(folder)
    step = max(step, saved_step(folder))
    eta = (steps - step) * step_s if state == "running" and stage == "train" and step_s and steps else None
    ids = tuple(newest[name]["job"] for name in live)
    return Row(folder, state, stage, step, steps, loss, eta, _success(folder), ids, note)


def _state(
    folder: Path,
    status: dict[str, Any],
    newest: dict[str, dict[str, str]],
    jobs: dict[str, JobState],
    live: dict[str, JobState],
) -> tuple[str, str, str]:
    """(state, stage, note). The first stage that is not done decides."""
    running = [stage for stage in live if live[stage].name in ("RUNNING", "COMPLETING")]
    if running:
        return "running", running[0], f"job {newest[running[0]]['job']}"
    if lock.owner_of(folder):
        return "running", str(status.get("stage", "")), str(lock.owner_of(folder))
    bad = [stage for stage in sorted(jobs, key=_order) if _is_bad(jobs[stage])]
    if bad:
        return _ended_badly(bad[0], jobs[bad[0]], status, newest[bad[0]]["log"])
    if live:
        first = min(live, key=_order)
        return "queued", first, live[first].reason
    recorded = str(status.get("state", ""))
    if recorded == "failed":
        return "failed", str(status.get("stage", "")), str(status.get("error", "")).split("\n")[0]
    if recorded == "running":
        return "interrupted", str(status.get("stage", "")), "its process is gone"
    return recorded or "gone", str(status.get("stage", "")), "" if recorded else "never started, and no job is left"


def _is_bad(state: JobState) -> bool:
    return state.name not in ("", "COMPLETED") and not state.live


def _done_since(stage: str, recorded: dict[str, Any]) -> bool:
    """By another process than the job that SLURM remembers."""
    config = record.config_of(recorded)
    return is_done(stage, config, places_of(config))


def _ended_badly(stage: str, state: JobState, status: dict[str, Any], log: str) -> tuple[str, str, str]:
    error = str(status.get("error", "")).split("\n")[0] if status.get("state") == "failed" else ""
    if state.name == "CANCELLED" and not Path(log).is_file():
        return "cancelled", stage, "before it started (by hand, or what it needs failed)"
    names = {"CANCELLED": "cancelled", "TIMEOUT": "timeout"}
    return names.get(state.name, "failed"), stage, error or f"{state.name}, log: {log}"


def _order(stage: str) -> int:
    return STAGE_ORDER.index(stage) if stage in STAGE_ORDER else len(STAGE_ORDER)


def _steps(folder: Path, recorded: dict[str, Any]) -> int:
    config = recorded.get("config")
    if config is None:
        config = yaml.load((folder / "config.yaml").read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return int(config["train"]["steps"])


def _training(folder: Path) -> tuple[int, float | None, float | None]:
    """(step, mean loss, mean seconds per step) of the last rows of metrics.jsonl; its end only is read."""
    path = folder / "metrics.jsonl"
    if not path.is_file():
        return 0, None, None
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES), os.SEEK_SET)
        lines = file.read().decode(errors="replace").splitlines()
    rows = []
    for line in reversed(lines):
        try:
            rows.append(json.loads(line))
        except ValueError:  # cut off at one of its ends
            continue
        if len(rows) == WINDOW:
            break
    if not rows:
        return 0, None, None
    speed = [row["step_s"] for row in rows if "step_s" in row]
    loss = sum(row["loss"] for row in rows) / len(rows)
    return int(rows[0]["step"]), loss, sum(speed) / len(speed) if speed else None


def _success(folder: Path) -> str:
    """k/n of the newest evaluation; "-" without one."""
    measured = sorted(folder.glob("eval/*/rates.json"), key=lambda path: path.stat().st_mtime)
    if not measured:
        return "-"
    try:
        policy = SuccessRow.from_plain(json.loads(measured[-1].read_text())["policy"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{measured[-1]}: {error}") from error
    return f"{policy.k}/{policy.n}"


COLOURS = {"done": "green", "running": "cyan", "queued": "blue", "failed": "red", "timeout": "red"}


def columns(rows: Sequence[Row]) -> list[Column]:
    """Of the table on a terminal."""
    named = (
        Column("run", [f"{row.folder.parent.name}/{row.folder.name}" for row in rows], folds=True),
        Column("state", [row.state for row in rows], styles=[COLOURS.get(row.state, "yellow") for row in rows]),
        Column("stage", [row.stage for row in rows], drop=3),
        Column("step", [f"{row.step}/{row.steps}" for row in rows], right=True, drop=1),
        Column("loss", ["-" if row.loss is None else f"{row.loss:.4f}" for row in rows], right=True, drop=4),
        Column("ETA", ["-" if row.eta_s is None else clock(row.eta_s) for row in rows], right=True, drop=2),
        Column("success", [row.success for row in rows], right=True),
    )
    notes = [Column("note", [row.note for row in rows], folds=True, drop=5)] if any(row.note for row in rows) else []
    return [*named, *notes]
