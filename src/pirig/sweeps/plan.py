"""From the points of a sweep to the tasks that are still to be done, and what each waits for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pirig.config.places import ASSETS, Places
from pirig.config.schema import Config, Mode
from pirig.datasets.make import are_there, is_current
from pirig.datasets.make_stats import contents_of
from pirig.evaluation.target import evaluation_folder, is_measured
from pirig.files import identity
from pirig.runs import progress
from pirig.runs.record import changes, is_there
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
    """`states`: per point done, running (a job of an earlier launch has it), resume or start.

    `overwritten`: folders that run.mode=overwrite moves aside before anything is started.
    """

    points: list[Point]
    states: list[str] = field(default_factory=list)
    stages: list[tuple[str, ...]] = field(default_factory=list)  # of each point, what is to be done
    tasks: dict[str, Task] = field(default_factory=dict)
    overwritten: list[Path] = field(default_factory=list)


def make_plan(verb: str, points: Sequence[Point], live: LiveJobs) -> Plan:
    """Raises ValueError where the folder of a point holds a run or data of something else."""
    plan = Plan(list(points))
    if stages := [stage for stage in CHAINS.get(verb, (verb,)) if stage not in SHARED]:
        _require_own_runs(points, stages, live)
    for point in points:
        todo, running = _add_point(plan, verb, point, live)
        plan.stages.append(todo)
        plan.states.append(_state(point.places, todo, running, plan.overwritten))
    return plan


def _add_point(plan: Plan, verb: str, point: Point, live: LiveJobs) -> tuple[tuple[str, ...], bool]:
    """(stages to be done, whether earlier jobs do some), with the tasks put into the plan."""
    needs, after, todo, running = "", "", [], False
    again = _overwritten(verb, point)
    if again is not None and again not in plan.overwritten:
        plan.overwritten.append(again)
    for stage in CHAINS.get(verb, (verb,)):
        if (again is None or stage in SHARED) and is_done(stage, point.config, point.places):
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


def _state(places: Places, todo: tuple[str, ...], running: bool, overwritten: Sequence[Path]) -> str:
    if not todo:
        return "running" if running else "done"
    if places.run in overwritten:
        return "start"
    return "resume" if progress.saved_step(places.run) else "start"


def _overwritten(verb: str, point: Point) -> Path | None:
    """What run.mode=overwrite moves aside: a run, or where only its evaluation is asked for again, that one's results."""
    if point.config.run.mode != Mode.overwrite or verb in SHARED:
        return None
    folder = evaluation_folder(point.config, point.places) if verb == "eval" else point.places.run
    return folder if folder is not None and is_there(folder) else None


def _require_own_runs(points: Sequence[Point], stages: Sequence[str], live: LiveJobs) -> None:
    """Raises ValueError where a point's folder holds a run of other settings, which is neither gone on with nor overwritten."""
    for point in points:
        folder = point.places.run
        began = progress.steps_saved(folder) or any(live(folder, stage) is not None for stage in stages)
        if point.config.run.mode == Mode.overwrite or not began:
            continue
        changed = changes(folder, point.config) + _other_data(point)
        if changed:
            keys, listed = {line.partition(":")[0] for line in changed}, "\n  ".join(changed)
            words = " ".join(word for word in point.overrides if word.partition("=")[0] in keys)
            raise ValueError(
                f"{folder} was made from something else than {words or 'this sweep'} asks for:\n  {listed}\nGive the old "
                "values, leave run.name out (each run is then named by its id), or give run.mode=overwrite, which moves it aside."
            )


def _other_data(point: Point) -> list[str]:
    """What of the data that a run's newest checkpoint was made from is otherwise now."""
    checkpoint = progress.newest_checkpoint(point.places.run)
    made = identity.load(checkpoint / ASSETS / identity.FILE_NAME) if checkpoint else None
    if made is None or not are_there(point.places):
        return []
    digests = contents_of(point.places)
    return [
        f"{name}: {made.made_from[name]} ({made.places.get(name, '')}) then, {digest} now"
        for name, digest in digests.items()
        if made.made_from.get(name, digest) != digest
    ]


def folder_of(stage: str, places: Places) -> Path:
    """What the stage writes, and where its jobs are recorded."""
    return places.data if stage in SHARED else places.run


def is_done(stage: str, config: Config, places: Places) -> bool:
    checks: dict[str, Callable[[], bool]] = {
        "demos": lambda: progress.has_demos(places) and is_current(config, places),
        "convert": lambda: progress.has_data_set(places) and is_current(config, places),
        "stats": lambda: progress.has_stats(places) and is_current(config, places),
        "data": lambda: (
            (progress.has_stats(places) and is_current(config, places))
            or (progress.is_trained(config, places) and is_measured(config, places))
        ),
        "train": lambda: progress.is_trained(config, places),
        "eval": lambda: is_measured(config, places),
        "report": lambda: is_measured(config, places) and places.summary.is_file(),
    }
    return stage in checks and checks[stage]()
