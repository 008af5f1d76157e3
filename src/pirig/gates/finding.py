"""What a gate says, and how a stage acts on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pirig.files.atomic import write_text
from pirig.files.records import read_record

FILE_NAME = "gates.json"


class GateError(ValueError):
    """Gates found what would waste the stage that comes next."""


@dataclass(frozen=True)
class Report:
    """`found`: the sentences of each gate that ran (none: it passed); `skipped`: switched off by gates.skip; `impossible`:
    why a gate could not be asked here."""

    found: dict[str, list[str]]
    skipped: list[str]
    impossible: dict[str, str] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        return not any(self.found.values())

    def said(self) -> Iterator[tuple[str, str, str]]:
        """(ok | wrong | skip, gate, sentence)."""
        for name, sentences in self.found.items():
            yield from (("wrong", name, sentence) for sentence in sentences)
            if not sentences:
                yield "ok", name, ""
        yield from (("skip", name, "switched off by gates.skip") for name in self.skipped)
        yield from (("skip", name, reason) for name, reason in self.impossible.items())

    def lines(self) -> list[str]:
        shown = {"ok": "ok   ", "wrong": "WRONG", "skip": "skip "}
        return [f"{shown[state]} {name}" + (f": {text}" if text else "") for state, name, text in self.said()]


def run_gates(gates: Mapping[str, Callable[[], list[str]]], skip: Iterable[str]) -> Report:
    """Runs each gate that is not switched off."""
    off = [name for name in gates if name in set(skip)]
    return Report({name: gate() for name, gate in gates.items() if name not in off}, off)


def require_good(report: Report, before: str) -> None:
    """Raises GateError with every sentence and the switch that lets a stage start all the same."""
    if report.good:
        return
    sentences = [f"{name}: {sentence}" for name, problems in report.found.items() for sentence in problems]
    names = ",".join(name for name, problems in report.found.items() if problems)
    raise GateError(
        f"the gates before {before} found what would waste it:\n  "
        + "\n  ".join(sentences)
        + f"\nRepair it, or start all the same with gates.skip=[{names}], which is recorded in the results."
    )


def save(report: Report, folder: Path) -> None:
    write_text(folder / FILE_NAME, json.dumps(asdict(report), indent=2) + "\n")


def load(folder: Path) -> Report | None:
    """The report saved there; None where there is none."""
    path = folder / FILE_NAME
    if not path.is_file():
        return None
    told = read_record(path, "found", "skipped")
    return Report(told["found"], told["skipped"])
