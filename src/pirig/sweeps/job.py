"""What runs inside a job of SLURM: one stage of one run, from its resolved config."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pirig.runs.lock import job_id
from pirig.sweeps import slurm

# (stage, its config as plain dicts) -> the signal that stopped it early, "" without one. A function of a module that, run as a
# program with a file of {"stage", "config"}, does the same: sweeps start the stages, but lie below them.
RunStage = Callable[[str, dict[str, Any]], str]
WARNINGS = ("SIGUSR1", "SIGUSR2")  # the time limit or a preemption is near


@dataclass(frozen=True)
class Job:
    """Picklable; submitit calls it. A stage that a warning stopped is put back into the queue and goes on there."""

    stage: str
    config: dict[str, Any]
    run_stage: RunStage
    max_requeues: int = 0

    def __call__(self) -> None:
        stopped = self.run_stage(self.stage, self.config)
        if not stopped:
            return
        restarts = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
        print(f"stopped by {stopped}; its checkpoint is saved", flush=True)
        if stopped in WARNINGS and restarts < self.max_requeues and os.environ.get("SLURM_PROCID", "0") == "0":
            slurm.requeue(job_id(os.environ))
        sys.exit(1)  # the stage is not done: what waits for it must not start

    def checkpoint(self) -> Any:
        """submitit asks for it when a warning comes outside of training; everything on disk can be gone on with."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)
