"""What runs inside a job: one stage of one run, from its resolved config."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pirig.runs.lock import job_id
from pirig.sweeps import record, slurm

WARNINGS = ("SIGUSR1", "SIGUSR2")  # the time limit or a preemption is near


@dataclass(frozen=True)
class Job:
    """Picklable; submitit calls it. A stage that a warning stopped is put back into the queue and goes on there."""

    stage: str
    config: dict[str, Any]
    max_requeues: int = 0

    def __call__(self) -> None:
        stopped = run_stage(self.stage, self.config)
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


def run_stage(stage: str, config: dict[str, Any]) -> str:
    """Runs the stage to its end; returns the signal that stopped it early, "" without one."""
    module = importlib.import_module("pirig.stages.jobs")
    action: Callable[[Any], str] = module.action(stage)
    return action(record.config_of({"config": config}))


def main() -> int:
    """`python -m pirig.sweeps.job FILE`, where FILE holds stage and config as JSON."""
    asked = json.loads(Path(sys.argv[1]).read_text())
    return 130 if run_stage(asked["stage"], asked["config"]) else 0


if __name__ == "__main__":
    sys.exit(main())
