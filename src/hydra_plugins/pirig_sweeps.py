"""The names by which Hydra finds our launchers and our sweeper; what they do is in `pirig.sweeps`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


class PointSweeper(BasicSweeper):
    """Hydra's own sweeper, but that the launcher composes and checks the points: not twice."""

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        pass


class _PirigLauncher(Launcher):
    kind = ""

    def __init__(self, **settings: Any) -> None:
        self.settings = {key: OmegaConf.to_object(value) if OmegaConf.is_config(value) else value
                         for key, value in settings.items()}  # fmt: skip

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.loader, self.task, self.config = hydra_context.config_loader, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from pirig.stages.jobs import run_stage
        from pirig.sweeps.launch import launch
        from pirig.sweeps.points import Composer

        compose = Composer(self.loader, self.config).compose
        known = compose, self.kind, self.settings, run_stage
        self.task.launched(lambda verb: launch(verb, job_overrides, *known))  # type: ignore[attr-defined]
        return []


class SlurmLauncher(_PirigLauncher):
    kind = "slurm"


class LocalLauncher(_PirigLauncher):
    kind = "local"
