"""The stages as a sweep's jobs run them: each goes on with what is there, holds its folder alone, and records its end."""

from __future__ import annotations

import dataclasses
import importlib
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from pirig.config.places import places_of, run_folder
from pirig.config.schema import Config, Mode
from pirig.runs.lock import held
from pirig.runs.record import open_run, set_status


def action(stage: str) -> Callable[[Config], str]:
    """The function of a stage; it returns the signal that stopped it, "" if it came to its end."""
    own = {"data": data, "train": train, "eval": evaluate, "report": report}
    return own[stage] if stage in own else lambda config: _verb(stage, config)


def _verb(stage: str, config: Config) -> str:
    importlib.import_module(f"pirig.stages.{stage}").run(_resuming(config))
    return ""


def data(config: Config) -> str:
    from pirig.stages import convert, demos, stats

    places = places_of(config)
    with _alone(places.data), _recorded(places.data, "data"):
        for stage in (demos, convert, stats):
            stage.make(config, places)
        set_status(places.data, "data", "done")
    return ""


def train(config: Config) -> str:
    from pirig.stages import train as stage

    config = _resuming(config)
    places = places_of(config)
    with _alone(places.run), _recorded(places.run, "train"):
        if _is_first():
            open_run(config, places)
        result = stage.make(config, places)
    return result.stopped


def evaluate(config: Config) -> str:
    from pirig.stages import eval as stage

    config = _resuming(config)
    folder = run_folder(config)
    with _alone(folder), _recorded(folder, "eval"):
        stage.run(config)
    return ""


def report(config: Config) -> str:
    """The last job of a pipeline: evaluation, then summary.json."""
    from pirig.stages import pipeline

    config = _resuming(config)
    places = places_of(config)
    with _alone(places.run), _recorded(places.run, "eval"):
        pipeline.finish(config, places)
    return ""


class _recorded:
    """The run's status says failed, and why, where the block raises."""

    def __init__(self, folder: Path, stage: str):
        self.folder, self.stage = folder, stage

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and _is_first():  # SystemExit: submitit has put the job back into the queue
            set_status(self.folder, self.stage, "failed", error=f"{type(error).__name__}: {error}")


def _resuming(config: Config) -> Config:
    return dataclasses.replace(config, run=dataclasses.replace(config.run, mode=Mode.resume))


def _alone(folder: Path) -> AbstractContextManager[None]:
    return held(folder) if _is_first() else nullcontext()


def _is_first() -> bool:
    """Of several tasks of one SLURM step, which train as one."""
    return os.environ.get("SLURM_PROCID", "0") == "0"
