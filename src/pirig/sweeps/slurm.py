"""Questions to SLURM by its own commands: what state jobs are in, and scancel."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

LIVE = ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED",
        "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED", "SPECIAL_EXIT")  # fmt: skip
PER_CALL = 500


@dataclass(frozen=True)
class JobState:
    """`name` as squeue's long form (RUNNING, FAILED, ...); `reason` why it waits."""

    name: str
    reason: str = ""

    @property
    def live(self) -> bool:
        return self.name in LIVE


def require() -> None:
    """Raises ValueError where this machine cannot submit."""
    if shutil.which("sbatch") is None:
        raise ValueError(
            "hydra/launcher=slurm: no sbatch on this machine. Launch from a node of the cluster that submits jobs, "
            "or use hydra/launcher=local; launchers/one_node_slurm.sh starts a SLURM to try it with."
        )


def states(jobs: Iterable[str]) -> dict[str, JobState]:
    """The state of each job that SLURM still knows: from its queue, else from its accounting if there is one.

    Raises ValueError where SLURM does not answer.
    """
    wanted = sorted(set(jobs) - {""}) if shutil.which("squeue") else []  # a copy of the runs on another machine
    known: dict[str, JobState] = {}
    for first in range(0, len(wanted), PER_CALL):
        known |= _queue(wanted[first : first + PER_CALL])
    gone = [job for job in wanted if job not in known]
    return known | (_accounting(gone) if gone else {})


def _queue(jobs: list[str]) -> dict[str, JobState]:
    arrays = ",".join(sorted({job.split("_")[0] for job in jobs}))
    command = ["squeue", "--noheader", "--array", "--states=all", f"--jobs={arrays}", "--format=%i|%T|%r"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and "Invalid job id" not in done.stderr:
        raise ValueError(f"squeue does not answer: {done.stderr.strip()}; is SLURM up, and SLURM_CONF set?")
    rows = (line.strip().split("|", 2) for line in done.stdout.splitlines() if line.count("|") >= 2)
    return {job: JobState(name, "" if reason == "None" else reason) for job, name, reason in rows if job in jobs}


def _accounting(jobs: list[str]) -> dict[str, JobState]:
    if shutil.which("sacct") is None:
        return {}
    command = ["sacct", "-X", "--noheader", "--parsable2", "-o", "JobID,State", "-j", ",".join(jobs)]
    done = subprocess.run(command, capture_output=True, text=True)
    rows = (line.split("|") for line in done.stdout.splitlines() if line.count("|") == 1)
    return {job: JobState(state.split()[0]) for job, state in rows if job in jobs and state}


def cancel(jobs: Iterable[str]) -> None:
    wanted = sorted(set(jobs))
    for first in range(0, len(wanted), PER_CALL):
        subprocess.run(["scancel", *wanted[first : first + PER_CALL]], check=True)


def requeue(job: str) -> None:
    subprocess.run(["scontrol", "requeue", job], check=True, timeout=60)
