"""`pirig demos`: plan (or take) demonstrations and replay them with the contract's cameras.

What was recorded on a real arm is only checked: it has its pictures already. Where files of it were left out since something is
wrong with them, the exit status is 3.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pirig.config.places import Places, places_of
from pirig.config.schema import Config
from pirig.runs.stages import measured

LEFT_OUT = 3  # exit status: done, without some of the recording's episodes


def run(config: Config) -> int:
    places = places_of(config)
    with measured(places.data, "demos"):
        made = make(config, places)
    print(f"demos: {made}")
    return left_out_status(config, places)


def make(config: Config, places: Places) -> Path:
    from pirig.datasets.make import make_demos

    return make_demos(config, places)


def left_out_status(config: Config, places: Places) -> int:
    """0, or 3 where episodes of a recording were left out, which is said."""
    from pirig.datasets.from_recording import left_out

    faults = left_out(config, places)
    if not faults:
        return 0
    numbers = ",".join(faults)
    print(
        f"left out: {len(faults)} episodes of {config.demos.path}, since something is wrong with them (exit status {LEFT_OUT}); "
        f"demos.leave_out=[{numbers}] says that this is known",
        file=sys.stderr,
    )
    return LEFT_OUT
