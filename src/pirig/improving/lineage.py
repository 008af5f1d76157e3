"""A child run says whose it is: a file in its folder, written before it trains."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pirig.config.places import LINEAGE
from pirig.files.atomic import write_text


@dataclass(frozen=True)
class Lineage:
    """`parent`: the run that was improved, as "EXPERIMENT/NAME at step N"; its `method` and `round`; `arm`: which child it is."""

    parent: str
    method: str
    round: int
    arm: str

    def save(self, run: Path) -> None:
        write_text(run / LINEAGE, json.dumps(asdict(self), indent=1) + "\n")
