"""What pirig writes beside data, as it is read back: others move, copy and edit it, so it goes through the same door."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field

from pirig.foreign.faults import refused
from pirig.foreign.schema import Foreign, Whole, validated
from pirig.foreign.text import read_json

WHOLE = "a whole number from 0"
Count = Annotated[Whole, Field(ge=0)]
Length = Annotated[Whole, Field(ge=1)]


class Provenance(Foreign):
    """Of a data set; what else the converter noted is kept."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)
    EXPECTED: ClassVar[Mapping[str, str]] = {
        "lengths": "the number of frames of each episode, from 1",
        "seeds": "the scene of each episode",
        "content_sha256": "a digest of what was converted",
        "tasks": "a list of names",
    }
    lengths: list[Length]
    seeds: list[Whole]
    content_sha256: str
    tasks: list[str] | None = None


class Manifest(Foreign):
    EXPECTED: ClassVar[Mapping[str, str]] = {
        "kept": WHOLE,
        "tried": WHOLE,
        "seeds": "the scene of each kept episode",
        "lengths": "the number of steps of each kept episode, from 1",
        "source": "who made them",
        "scenes": "the first and the last scene",
    }
    kept: Count
    tried: Count
    seeds: list[Whole]
    lengths: list[Length]
    source: str
    scenes: list[Whole] = Field(default_factory=list)


def read_provenance(file: Path) -> dict[str, Any]:
    """Raises ForeignFileError where it is missing, damaged, or its lists are not as long as each other."""
    raw = read_json(file)
    said = validated(Provenance, raw, file, AGAIN)
    if len(said.lengths) != len(said.seeds):
        there = f"{len(said.lengths)} lengths and {len(said.seeds)} seeds"
        raise refused(file, there, AGAIN, expected="one of each for every episode")
    return raw


AGAIN = "move the data set away and run `pirig convert` again"
DEMOS_AGAIN = "move the folder away and run `pirig demos` again"


def read_manifest(file: Path) -> Manifest:
    """Raises ForeignFileError as `read_provenance`."""
    said = validated(Manifest, read_json(file), file, DEMOS_AGAIN)
    if not len(said.lengths) == len(said.seeds) == said.kept:
        there = f"{said.kept} kept, {len(said.lengths)} lengths and {len(said.seeds)} seeds"
        raise refused(file, there, DEMOS_AGAIN, expected="one of each for every kept episode")
    return said
