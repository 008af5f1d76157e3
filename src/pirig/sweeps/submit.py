"""Tasks into SLURM by submitit: one job array per resource class, and per job that it waits for."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pirig.config.plain import as_plain
from pirig.sweeps import record
from pirig.sweeps.job import Job, RunStage
from pirig.sweeps.plan import SHARED, Plan, Task
from pirig.sweeps.settings import Resources, SlurmSettings, resources
from pirig.sweeps.snapshot import python_path


@dataclass(frozen=True)
class Submitted:
    """`array` is the id that a whole array is known by; of a single job its own."""

    task: Task
    job: str
    array: str
    log: Path


@dataclass(frozen=True)
class Group:
    """What one sbatch asks for. `after` as in its --dependency, "" for none."""

    stage: str
    resources: Resources
    after: str


def groups(stage: str, tasks: Iterable[Task], settings: SlurmSettings, placed: dict[str, Submitted]) -> dict:
    """Group -> its tasks in the order of the points; every task that is waited for is in `placed`."""
    grouped: dict[Group, list[Task]] = {}
    for task in tasks:
        if task.stage == stage:
            group = Group(stage, resources(task.config, task.section, settings), _after(task, placed))
            grouped.setdefault(group, []).append(task)
    return grouped


def _after(task: Task, placed: dict[str, Submitted]) -> str:
    """A job by its id; the n-th of an array waits for the n-th of another one (aftercorr, the afterok of arrays)."""
    if task.after:
        return f"afterok:{task.after}"
    if not task.needs:
        return ""
    waited = placed[task.needs]
    alone = waited.job == waited.array or waited.task.stage in SHARED
    return f"afterok:{waited.job}" if alone else f"aftercorr:{waited.array}"


def submit(
    plan: Plan, settings: SlurmSettings, launcher: dict[str, Any], code: Path, folder: Path, run_stage: RunStage
) -> list[Submitted]:
    """Submits every task. Raises ValueError where sbatch refuses; what was submitted before stays and is recorded."""
    placed: dict[str, Submitted] = {}
    for stage in dict.fromkeys(task.stage for task in _in_order(plan)):
        for group, tasks in groups(stage, plan.tasks.values(), settings, placed).items():
            for submitted in _submit_group(group, tasks, settings, code, folder, run_stage):
                record.add(submitted.task, submitted.job, submitted.log, launcher, code)
                placed[submitted.task.key] = submitted
    return list(placed.values())


def _in_order(plan: Plan) -> list[Task]:
    """A task behind what it needs."""
    depth = {key: 0 for key in plan.tasks}
    for key, task in plan.tasks.items():
        depth[key] = depth[task.needs] + 1 if task.needs else 0
    return sorted(plan.tasks.values(), key=lambda task: depth[task.key])


def _submit_group(
    group: Group, tasks: list[Task], settings: SlurmSettings, code: Path, folder: Path, run_stage: RunStage
) -> list[Submitted]:
    import submitit
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    executor = submitit.SlurmExecutor(folder=folder, max_num_timeout=settings.max_requeues)
    executor.update_parameters(**_parameters(group, tasks, settings, code))
    try:
        with executor.batch():
            jobs = [
                executor.submit(Job(task.stage, as_plain(task.config), run_stage, settings.max_requeues))
                for task in tasks
            ]
    except (FailedJobError, FailedSubmissionError, subprocess.CalledProcessError) as error:
        raise ValueError(
            f"sbatch refused {len(tasks)} {group.stage} jobs ({group.resources}): {error}\n"
            "Change hydra.launcher.* (conf/hydra/launcher/slurm.yaml); the same command submits what is missing."
        ) from error
    return [
        Submitted(task, job.job_id, job.job_id.split("_")[0], Path(job.paths.stdout))
        for task, job in zip(tasks, jobs, strict=True)
    ]


def _parameters(group: Group, tasks: list[Task], settings: SlurmSettings, code: Path) -> dict[str, Any]:
    asked, config = group.resources, tasks[0].config
    what = tasks[0].folder.name if len(tasks) == 1 else f"{config.run.experiment}-{asked}-{len(tasks)}"
    parameters = {
        "job_name": f"{group.stage}-{what}",
        "partition": asked.partition,
        "constraint": asked.constraint,
        "account": settings.account,
        "qos": settings.qos,
        "exclude": settings.exclude,
        "time": asked.time_min,
        "nodes": asked.nodes,
        "ntasks_per_node": 1,
        "gpus_per_node": asked.gpus_per_node or None,
        "cpus_per_task": asked.cpus,
        "mem": f"{int(asked.memory_gb * 1024)}MB",
        "array_parallelism": settings.parallel,
        "signal_delay_s": settings.signal_delay_s,
        "dependency": group.after or None,
        "setup": [f"export PYTHONPATH={python_path(code)}${{PYTHONPATH:+:$PYTHONPATH}}", *settings.setup],
        "stderr_to_stdout": True,
        "additional_parameters": {"requeue": True, "kill-on-invalid-dep": "yes"},
    }
    return {key: value for key, value in parameters.items() if value is not None} | {"wckey": None}
