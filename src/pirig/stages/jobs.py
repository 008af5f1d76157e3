"""The stages as a sweep's jobs run them: each goes on with what is there, holds its folder alone, and records its end."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from pirig.config.places import places_of, run_folder
from pirig.config.schema import Config, Mode
from pirig.runs.lock import held
from pirig.runs.record import open_run, set_status
from pirig.stages import convert, demos, scenes, stats, warm_up
from pirig.sweeps import record


def run_stage(stage: str, config: dict[str, Any]) -> str:
    """Runs the stage of a resolved config; returns the signal that stopped it early, "" if it came to its end."""
    return action(stage)(record.config_of({"config": config}))


def main() -> int:
    """`python -m pirig.stages.jobs FILE`, where FILE holds stage and config as JSON."""
    asked = json.loads(Path(sys.argv[1]).read_text())
    return 130 if run_stage(asked["stage"], asked["config"]) else 0


def action(stage: str) -> Callable[[Config], str]:
    own = {"data": data, "train": train, "eval": evaluate, "report": report}
    verbs = {"demos": demos, "convert": convert, "stats": stats, "scenes": scenes, "warm_up": warm_up}
    return own[stage] if stage in own else lambda config: _verb(verbs[stage].run, config)


def _verb(run: Callable[[Config], int], config: Config) -> str:
    run(_resuming(config))
    return ""


def data(config: Config) -> str:
    places = places_of(config)
    with _alone(places.data), _recorded(places.data, "data"):
        for stage in (demos, convert, stats):
            stage.make(config, places)
        if config.tower.warm_up.steps and config.robot.simulated:
            scenes.make(config, places)
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


if __name__ == "__main__":
    sys.exit(main())
