"""The tasks of a sweep on this machine: so many processes at a time, each with the code of the launch and GPUs of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pirig.config.plain import as_plain
from pirig.files.atomic import write_text
from pirig.runs.stopping import Terminated
from pirig.sweeps import gpus, record
from pirig.sweeps.job import RunStage
from pirig.sweeps.plan import Plan, Task
from pirig.sweeps.snapshot import python_path

POLL_S = 0.2


@dataclass
class _Pool:
    plan: Plan
    workers: int
    launcher: dict[str, Any]
    code: Path
    run_stage: RunStage
    waiting: list[Task] = field(default_factory=list)
    running: dict[str, tuple[subprocess.Popen, Task, Path]] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    failed: dict[str, Path] = field(default_factory=dict)  # key -> log
    shares: gpus.Shares = field(default_factory=gpus.Shares)

    def run(self) -> None:
        self.waiting = list(self.plan.tasks.values())
        while self.waiting or self.running:
            self._collect()
            self._drop_hopeless()
            for task in [task for task in self.waiting if not task.needs or task.needs in self.done]:
                if len(self.running) < self.workers and self.shares.take(task.key, gpus.needed(task)):
                    self.waiting.remove(task)
                    self._start(task)
            time.sleep(POLL_S)

    def _start(self, task: Task) -> None:
        log = task.folder / "logs" / f"{task.stage}-{time.strftime('%Y%m%d-%H%M%S')}.log"
        asked = log.with_suffix(".json")
        write_text(asked, json.dumps({"stage": task.stage, "config": as_plain(task.config)}) + "\n")
        record.add(task, "", log, self.launcher, self.code)
        path = os.pathsep.join([python_path(self.code), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
        command = [sys.executable, "-u", "-m", self.run_stage.__module__, str(asked)]
        print(f"{time.strftime('%H:%M:%S')}  start   {task.name}  log: {log}", flush=True)
        with open(log, "w") as file:
            environment = {**os.environ, **self.shares.variables(task.key), "PYTHONPATH": path.rstrip(os.pathsep)}
            self.running[task.key] = (
                subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment),
                task,
                log,
            )

    def _collect(self) -> None:
        for key, (process, task, log) in list(self.running.items()):
            if process.poll() is None:
                continue
            del self.running[key]
            self.shares.give_back(key)
            good = process.returncode == 0
            print(f"{time.strftime('%H:%M:%S')}  {'done' if good else 'FAILED':7} {task.name}", flush=True)
            if good:
                self.done.add(key)
            else:
                self.failed[key] = log
                print("".join(f"    {line}\n" for line in log.read_text().splitlines()[-3:]), end="", flush=True)

    def _drop_hopeless(self) -> None:
        for task in [task for task in self.waiting if task.needs in self.failed]:
            self.waiting.remove(task)
            self.failed[task.key] = self.failed[task.needs]
            print(f"{time.strftime('%H:%M:%S')}  left    {task.name}: what it needs failed", flush=True)

    def terminate_running(self) -> None:
        for process, _, _ in self.running.values():
            process.terminate()

    def wait_for_running(self) -> None:
        for process, _, _ in self.running.values():
            process.wait()


def run(plan: Plan, workers: int, launcher: dict[str, Any], code: Path, run_stage: RunStage) -> dict[str, Path]:
    """Returns the tasks that failed with their logs; on ctrl-C each process saves its checkpoint first."""
    if workers < 1:
        raise ValueError(f"hydra.launcher.workers={workers}: expected at least 1.")
    pool = _Pool(plan, workers, launcher, code, run_stage)
    if workers > 1:  # one process at a time may have them all
        pool.shares = gpus.Shares(gpus.of_this_machine(os.environ))
        pool.shares.check(plan.tasks.values())
    try:
        pool.run()
    except KeyboardInterrupt as stopped:
        if isinstance(stopped, Terminated):  # ctrl-C on a terminal reaches them by itself
            pool.terminate_running()
        pool.wait_for_running()
        raise
    return pool.failed
