"""Which process of a local sweep gets which GPUs."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pirig.sweeps.plan import Task

VISIBLE = "CUDA_VISIBLE_DEVICES"


def of_this_machine(environment: Mapping[str, str]) -> list[str]:
    """Those that CUDA_VISIBLE_DEVICES leaves, else all that nvidia-smi lists; [] without one."""
    if VISIBLE in environment:
        return _listed(environment[VISIBLE])
    if shutil.which("nvidia-smi") is None:
        return []
    asked = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    listed = subprocess.run(asked, capture_output=True, text=True)
    return listed.stdout.split() if listed.returncode == 0 else []


def _listed(visible: str) -> list[str]:
    """Those before the first that is none, as CUDA reads it: "-1" and "NoDevFiles" are no GPU, "0,-1,1" is one."""
    named = [gpu.strip() for gpu in visible.split(",")]
    return list(itertools.takewhile(lambda gpu: gpu.isdigit() or gpu.startswith(("GPU-", "MIG-")), named))


def needed(task: Task) -> int:
    """As many as fsdp splits a training over, one for an evaluation, none for data."""
    return {"train": task.config.fsdp.devices, "eval": 1}.get(task.section, 0)


@dataclass
class Shares:
    """GPUs lent to processes by key; without `free` ones from the start nothing is lent and nothing is waited for."""

    free: list[str] = field(default_factory=list)
    lent: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.count = len(self.free)

    def check(self, tasks: Iterable[Task]) -> None:
        """Raises ValueError where a task would wait for ever."""
        most = max((needed(task) for task in tasks), default=0)
        if self.count and most > self.count:
            raise ValueError(
                f"fsdp={most} with hydra/launcher=local: this machine shows {self.count} GPUs; choose fsdp={self.count} or "
                "fewer, or hydra/launcher=slurm."
            )

    def take(self, key: str, count: int) -> bool:
        """False where fewer than `count` are free now."""
        if self.count and count > len(self.free):
            return False
        if self.count and count:
            self.lent[key], self.free = self.free[:count], self.free[count:]
        return True

    def variables(self, key: str) -> dict[str, str]:
        return {VISIBLE: ",".join(self.lent[key])} if key in self.lent else {}

    def give_back(self, key: str) -> None:
        self.free += self.lent.pop(key, [])
