"""A sweep from its points to its end: plan, show, snapshot of the code, submit, wait."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from pirig.files.atomic import move_aside_inside
from pirig.runs import lock
from pirig.sweeps import local, record, slurm, snapshot, submit, watch
from pirig.sweeps.expected import Expected, expected, past_runs
from pirig.sweeps.job import RunStage
from pirig.sweeps.plan import LiveJobs, Plan, folder_of, make_plan
from pirig.sweeps.points import Compose, Point, read_points
from pirig.sweeps.settings import LocalSettings, SlurmSettings, check, read, resources
from pirig.sweeps.submit import Submitted

LAUNCH_S = 600.0  # another launch takes at most so long to submit


def launch(
    verb: str,
    overrides: Sequence[Sequence[str]],
    compose: Compose,
    kind: str,
    settings: dict[str, Any],
    run_stage: RunStage,
) -> int:
    """Exit status: 0, or 1 where a job that was waited for failed. `kind` is slurm or local."""
    return launch_points(verb, read_points(overrides, compose), kind, settings, run_stage)


def launch_points(
    verb: str, points: Sequence[Point], kind: str, launcher_keys: dict[str, Any], run_stage: RunStage
) -> int:
    typed = read(SlurmSettings, launcher_keys) if kind == "slurm" else read(LocalSettings, launcher_keys)
    sweep, root = points[0].config.sweep, Path(points[0].config.run.root)
    if isinstance(typed, SlurmSettings):
        check(typed)
        if not sweep.dry_run:
            slurm.require()
    if sweep.dry_run or isinstance(typed, LocalSettings):
        plan = make_plan(verb, points, live_jobs(points, verb))
        show(plan, typed)
        if sweep.dry_run or isinstance(typed, SlurmSettings) or not plan.tasks:
            return 0
        launcher = {"kind": kind, "settings": launcher_keys}
        failed = local.run(plan, typed.workers, launcher, snapshot.take(root), run_stage)
        return _ended(len(failed), points)
    jobs = _submit(verb, points, typed, launcher_keys, root, run_stage)
    if not jobs or not sweep.wait:
        return 0
    try:
        return _ended(len(watch.wait(jobs, typed.poll_s)), points)
    except KeyboardInterrupt:
        print("\nno longer waiting; the jobs go on")
        return 130


def _submit(
    verb: str,
    points: Sequence[Point],
    settings: SlurmSettings,
    launcher_keys: dict[str, Any],
    root: Path,
    run_stage: RunStage,
) -> list[Submitted]:
    """Plans and submits while no other launch into the same root does, or both would start what is missing."""
    experiment = points[0].config.run.experiment
    folder = (root / ".sweeps" / f"{experiment}-{time.strftime('%Y%m%d-%H%M%S')}").resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / ".launch.lock", timeout=LAUNCH_S):
        plan = make_plan(verb, points, live_jobs(points, verb))
        show(plan, settings)
        if not plan.tasks:
            return []
        move_aside(plan)
        code, started_s = snapshot.take(root), time.monotonic()
        jobs = submit.submit(plan, settings, {"kind": "slurm", "settings": launcher_keys}, code, folder, run_stage)
    arrays = sorted({job.array for job in jobs}, key=int)
    print(f"submitted {len(jobs)} jobs in {time.monotonic() - started_s:.1f} s: {', '.join(arrays)}; logs in {folder}")
    print(f"pirig runs {root / experiment}    shows how they do; `pirig runs cancel` stops them", flush=True)
    return jobs


def _ended(failed: int, points: Sequence[Point]) -> int:
    if failed:
        print(f"jobs that did not come to their end: {failed}; the same command starts what is missing")
    else:
        print(f"points done: {len(points)} of {len(points)}")
    return 1 if failed else 0


def move_aside(plan: Plan) -> None:
    """What run.mode=overwrite asks for, once; the jobs then go on with what they have made themselves, also when requeued.

    Raises ValueError, and moves nothing, where another process writes one of the runs.
    """
    for folder in plan.overwritten:
        lock.require_free(folder)
    for folder in plan.overwritten:
        with lock.held(folder):
            print(f"moved the older one to {move_aside_inside(folder, lock.FILE_NAME)}")


def live_jobs(points: Iterable[Point], verb: str) -> LiveJobs:
    """Asks SLURM once about every job that the points' folders name, and their locks about other processes."""
    from pirig.sweeps.plan import CHAINS

    wanted = {(folder_of(stage, point.places), stage) for point in points for stage in CHAINS.get(verb, (verb,))}
    known = {(folder, stage): record.newest(record.read(folder), stage).get("job", "") for folder, stage in wanted}
    jobs = {job for job in known.values() if job}
    states = slurm.states(jobs) if jobs else {}

    def live(folder: Path, stage: str) -> str | None:
        job = known.get((folder, stage), "")
        if job in states and states[job].live:
            return job
        owner = lock.owner_of(folder)
        return owner.job if owner else None

    return live


def show(plan: Plan, settings: SlurmSettings | LocalSettings) -> None:
    """The points, what each asks for and what is done already."""
    from pirig.files import tables
    from pirig.files.console import console

    common = set.intersection(*(set(point.overrides) for point in plan.points))
    columns: dict[str, Callable[[int], str]] = {
        "run": lambda i: plan.points[i].config.run.name,
        "point": lambda i: " ".join(word for word in plan.points[i].overrides if word not in common),
        "state": lambda i: plan.states[i],
        "to do": lambda i: " > ".join(plan.stages[i]) or "-",
    }
    if isinstance(settings, SlurmSettings):
        columns["asks for"] = lambda i: _classes(plan, i, settings)
    past = past_runs(Path(plan.points[0].config.run.root))
    takes = [expected(point, plan.stages[i], past) if plan.stages[i] else None for i, point in enumerate(plan.points)]
    if any(takes):
        columns["expected"] = lambda i: _takes(plan, i, takes[i])
    places = range(len(plan.points))
    screen = console()
    tables.show(screen, [tables.Column(name, [cell(i) for i in places], folds=True) for name, cell in columns.items()])
    counts = ", ".join(f"{count} {state}" for state, count in Counter(plan.states).items())
    stages = ", ".join(f"{count} {stage}" for stage, count in Counter(t.stage for t in plan.tasks.values()).items())
    screen.print(f"points: {len(plan.points)} ({counts}); jobs to run: {stages or 'none'}", soft_wrap=True)
    if all_of_it := _in_all(plan, takes):
        screen.print(all_of_it, soft_wrap=True, markup=False)


def _takes(plan: Plan, index: int, takes: Expected | None) -> str:
    return takes.text if takes else "no run alike" if plan.stages[index] else "-"


def _in_all(plan: Plan, takes: Sequence[Expected | None]) -> str:
    """Hours and memory of what is to be done, or that no run says them."""
    todo = [takes[index] for index, stages in enumerate(plan.stages) if stages]
    known = [one for one in todo if one]
    if not todo:
        return ""
    if not known:
        return "expected hours and memory: not known, no run alike left a record (stages.json)"
    hours, peak = sum(one.hours for one in known), max(one.peak_gb for one in known)
    without = f", without {len(todo) - len(known)} points that have no run alike" if len(known) < len(todo) else ""
    return f"expected: {hours:.2g} hours one after the other, at most {peak:.2g} GB{without}; from runs on {known[0].hardware}"


def _classes(plan: Plan, index: int, settings: SlurmSettings) -> str:
    point, stages = plan.points[index], plan.stages[index]
    tasks = (plan.tasks[f"{stage} {folder_of(stage, point.places)}"] for stage in stages)
    return " > ".join(str(resources(point.config, task.section, settings)) for task in tasks) or "-"
