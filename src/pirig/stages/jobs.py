"""The stages as a sweep's jobs run them: each goes on with what is there, holds its folder alone, and records its end."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pirig.config.places import places_of
from pirig.config.schema import Config, Mode
from pirig.runs.lock import held
from pirig.runs.record import recorded, set_status
from pirig.runs.stages import measured
from pirig.runs.stopping import stop_on_sigterm
from pirig.stages import convert, demos, scenes, stats, warm_up
from pirig.stages.entry import entered, set_memory
from pirig.sweeps import record


def run_stage(stage: str, config: dict[str, Any]) -> str:
    """Runs the stage of a resolved config; returns the signal that stopped it early, "" if it came to its end."""
    return action(stage)(record.config_of({"config": config}))


def main() -> int:
    """`python -m pirig.stages.jobs FILE`, where FILE holds stage and config as JSON."""
    stop_on_sigterm()
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
    with held(places.data), recorded(places.data, "data"):
        for name, stage in (("demos", demos), ("convert", convert), ("stats", stats)):
            with measured(places.data, name):
                stage.make(config, places)
        if config.tower.warm_up.steps and config.robot.simulated:
            with measured(places.data, "scenes"):
                scenes.make(config, places)
        set_status(places.data, "data", "done")
    return ""


def train(config: Config) -> str:
    from pirig.stages import train as stage

    config = _resuming(config)
    places = places_of(config)
    set_memory(config)
    with entered(config, places, first=_is_first()):
        result = stage.make(config, places)
    return result.stopped


def evaluate(config: Config) -> str:
    from pirig.stages import eval as stage

    config = _resuming(config)
    stage.run(config)
    return ""


def report(config: Config) -> str:
    """The last job of a pipeline: evaluation, then summary.json."""
    from pirig.stages import pipeline

    config = _resuming(config)
    places = places_of(config)
    with held(places.run), recorded(places.run, "eval"):
        pipeline.finish(config, places)
    return ""


def _is_first() -> bool:
    """Of several tasks of one SLURM step, which train as one."""
    return os.environ.get("SLURM_PROCID", "0") == "0"


def _resuming(config: Config) -> Config:
    return dataclasses.replace(config, run=dataclasses.replace(config.run, mode=Mode.resume))


if __name__ == "__main__":
    sys.exit(main())
