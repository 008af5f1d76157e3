"""From the points of a sweep to the tasks that are still to be done, and what each waits for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pirig.config.places import Places
from pirig.config.schema import Config
from pirig.evaluation.target import is_measured
from pirig.runs import progress
from pirig.sweeps.points import Point

CHAINS = {"pipeline": ("data", "train", "report")}  # other verbs are one stage
SECTIONS = {"train": "train", "eval": "eval", "report": "eval"}  # of the launcher's settings; others: data
SHARED = ("data", "demos", "convert", "stats")  # once per distinct data set

# (folder, stage) -> id of the job that is queued or running for it, "" if another process writes the folder, None: nobody
LiveJobs = Callable[[Path, str], str | None]


@dataclass(frozen=True)
class Task:
    """One stage of one run or data set. `needs` is the key of another task of this plan, `after` the id of a job."""

    stage: str
    folder: Path
    config: Config
    verb: str
    overrides: tuple[str, ...]
    needs: str = ""
    after: str = ""

    @property
    def key(self) -> str:
        return f"{self.stage} {self.folder}"

    @property
    def section(self) -> str:
        return SECTIONS.get(self.stage, "data")

    @property
    def name(self) -> str:
        return f"{self.stage}-{self.folder.name}"


@dataclass
class Plan:
    """`states`: per point done, running (a job of an earlier launch has it), resume or start."""

    points: list[Point]
    states: list[str] = field(default_factory=list)
    stages: list[tuple[str, ...]] = field(default_factory=list)  # of each point, what is to be done
    tasks: dict[str, Task] = field(default_factory=dict)


def make_plan(verb: str, points: Sequence[Point], live: LiveJobs) -> Plan:
    plan = Plan(list(points))
    for point in points:
        todo, running = _add_point(plan, verb, point, live)
        plan.stages.append(todo)
        plan.states.append(_state(point.places, todo, running))
    return plan


def _add_point(plan: Plan, verb: str, point: Point, live: LiveJobs) -> tuple[tuple[str, ...], bool]:
    """(stages to be done, whether earlier jobs do some), with the tasks put into the plan."""
    needs, after, todo, running = "", "", [], False
    for stage in CHAINS.get(verb, (verb,)):
        if is_done(stage, point.config, point.places):
            continue
        folder = folder_of(stage, point.places)
        job = live(folder, stage)
        if job == "":
            return (), True
        if job:
            needs, after, running = "", job, True
            continue
        task = Task(stage, folder, point.config, verb, point.overrides, needs, after)
        plan.tasks.setdefault(task.key, task)  # a data set that several points share is made once
        todo.append(stage)
        needs, after = task.key, ""
    return tuple(todo), running


def _state(places: Places, todo: tuple[str, ...], running: bool) -> str:
    if not todo:
        return "running" if running else "done"
    return "resume" if progress.saved_step(places.run) else "start"


def folder_of(stage: str, places: Places) -> Path:
    """What the stage writes, and where its jobs are recorded."""
    return places.data if stage in SHARED else places.run


def is_done(stage: str, config: Config, places: Places) -> bool:
    checks: dict[str, Callable[[], bool]] = {
        "demos": lambda: progress.has_demos(places),
        "convert": lambda: progress.has_data_set(places),
        "stats": lambda: progress.has_stats(places),
        "data": lambda: (
            progress.has_stats(places) or (progress.is_trained(config, places) and is_measured(config, places))
        ),
        "train": lambda: progress.is_trained(config, places),
        "eval": lambda: is_measured(config, places),
        "report": lambda: is_measured(config, places) and places.summary.is_file(),
    }
    return stage in checks and checks[stage]()
