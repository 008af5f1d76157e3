"""Waiting for submitted jobs: a line for each that starts or ends, and how it ended."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from pirig.config.places import places_of
from pirig.runs.progress import read_status
from pirig.sweeps import slurm
from pirig.sweeps.plan import is_done
from pirig.sweeps.slurm import JobState
from pirig.sweeps.submit import Submitted

TOLD = ("RUNNING", "REQUEUED")


def wait(jobs: Sequence[Submitted], poll_s: float) -> list[Submitted]:
    """Returns when none is queued or running: those that did not come to their end, which nothing else is lost by."""
    told: dict[str, str] = {}
    while True:
        try:
            known = slurm.states(job.job for job in jobs)
        except ValueError as error:  # SLURM restarts now and then
            print(f"{error}; trying again", file=sys.stderr)
            time.sleep(poll_s)
            continue
        now = {job.job: known.get(job.job) or _without_slurm(job) for job in jobs}
        for job in jobs:
            _tell(job, now[job.job], told)
        if not any(state.live for state in now.values()):
            return [job for job in jobs if now[job.job].name != "COMPLETED"]
        time.sleep(poll_s)


def _without_slurm(job: Submitted) -> JobState:
    """Forgotten by SLURM and no accounting to ask: by what it left."""
    return JobState("COMPLETED" if is_done(job.task.stage, job.task.config, places_of(job.task.config)) else "GONE")


def _tell(job: Submitted, state: JobState, told: dict[str, str]) -> None:
    if told.get(job.job) == state.name or (state.live and state.name not in TOLD):
        return
    told[job.job] = state.name
    line = f"{time.strftime('%H:%M:%S')}  {job.job:>10}  {state.name:10} {job.task.name}"
    if not state.live and state.name != "COMPLETED":
        line += "".join(f"\n{'':22}{text}" for text in _why(job))
    print(line, flush=True)


def _why(job: Submitted) -> list[str]:
    if not job.log.is_file():
        return ["never started: cancelled, or what it needs failed"]
    status = read_status(job.task.folder)
    error = str(status.get("error", "")) if status.get("state") == "failed" else ""
    return [*error.splitlines()[:1], f"log: {job.log}"]
