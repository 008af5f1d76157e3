"""Beside demos that are corrections: which data set they belong to, and where in which episode each of them begins."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pirig.files.atomic import write_text
from pirig.files.records import read_record

FILE_NAME = "origins.json"


@dataclass(frozen=True)
class Origins:
    """`parent`: the folder beside this data set's own that holds the data set which they are added to, or its whole path.
    `checkpoint`: digest of the policy that lost its way, in `round`. `lost`: by scene, after how many of its steps ("step")
    and how ("what")."""

    parent: str
    checkpoint: str
    round: int
    lost: dict[int, dict[str, Any]] = field(default_factory=dict)

    def save(self, demos: Path) -> None:
        write_text(demos / FILE_NAME, json.dumps(asdict(self), indent=1) + "\n")

    def of(self, scene: int) -> dict[str, Any]:
        """As the data set notes it of one episode."""
        return {"scene": scene, "round": self.round, "checkpoint": self.checkpoint, **self.lost.get(scene, {})}

    @staticmethod
    def load(demos: Path) -> Origins:
        """Raises ValueError where the demos in this folder are no corrections."""
        try:
            plain = read_record(demos / FILE_NAME, "parent", "checkpoint", "round", "lost")
            lost = {int(scene): entry for scene, entry in plain.pop("lost").items()}
            return Origins(**plain, lost=lost)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f"{demos}: no corrections there ({error}); run `pirig improve` again, of the run that they are made for"
            ) from error
