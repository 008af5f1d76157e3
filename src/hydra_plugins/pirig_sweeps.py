"""The names by which Hydra finds our launchers and our sweeper; what they do is in `pirig.sweeps`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn
from hydra.errors import ConfigCompositionException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from pirig.config.command_line import rewrite, words_of_point


class PointSweeper(BasicSweeper):
    """Hydra's own sweeper, but that the launcher composes and checks the points: not twice."""

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        pass

    def _parse_config(self) -> list[str]:
        """What an experiment sweeps over, in words that Hydra takes."""
        with _told():
            return rewrite(super()._parse_config(), sweep=True)

    @staticmethod
    def split_arguments(overrides: list[Override], max_batch_size: int | None) -> list[list[list[str]]]:
        batches = BasicSweeper.split_arguments(overrides, max_batch_size)
        with _told():
            return [[words_of_point(words) for words in batch] for batch in batches]


@contextmanager
def _told() -> Iterator[None]:
    """Hydra shows its own errors without a traceback."""
    try:
        yield
    except ValueError as error:
        raise ConfigCompositionException(str(error)) from None


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
