"""Improvements of one policy beside one another, from what each of them wrote: a line for every policy that was measured."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from pirig.comparison.statistics import compare_counts, holm
from pirig.config.places import IMPROVEMENTS
from pirig.evaluation.results import ResultsFile
from pirig.files.records import read_record
from pirig.improving.door import CONTROL
from pirig.improving.rounds import BASE, RESULTS

CORRECTIONS = "corrections"  # what a round of the planner's counts


@dataclass(frozen=True)
class Line:
    """A measured policy. `improvement`: the folder that has it, "" for the base. What it took beyond the base, earlier rounds
    included: `rolled_out` episodes of `environment_steps`, the planner's `corrections`, `steps` of training, `minutes` of all
    that but its evaluation (what another improvement had made before was found, and cost it none). `auc`: of its critic, with
    interval. Fisher's p beside the base (`p_base_holm`: adjusted for all lines), its own control, and the planner's
    corrections after as many roll-outs; None where there is nothing to be beside.
    """

    policy: str
    improvement: str
    round: int
    arm: str
    digest: str
    k: int
    n: int
    low: float
    high: float
    rolled_out: int = 0
    environment_steps: int | None = 0
    corrections: int = 0
    steps: int = 0
    minutes: float = 0.0
    auc: tuple[float, float, float] | None = None
    p_base: float | None = None
    p_base_holm: float | None = None
    p_control: float | None = None
    p_corrections: float | None = None


@dataclass(frozen=True)
class Compared:
    """All lines of one base on the same held-out scenes, the base first."""

    parent: str
    held_out: tuple[int, int]
    lines: list[Line]


@dataclass(frozen=True)
class _Kept:
    """A `results.json` and the folder that has it."""

    folder: Path
    result: dict[str, Any]

    @property
    def same(self) -> tuple:
        """What improvements have in common that are beside one another: the base and how it acted, by its rate too."""
        base = self.result["base"]
        return base["digest"], *self.result["held_out"], base["k"], base["n"], base["max_steps"]


def of_run(run: Path) -> list[Compared]:
    """Of the improvements beneath RUN/improve that measured a round. Raises ValueError where a file is none of theirs."""
    files = sorted((run / IMPROVEMENTS).glob(f"*/{RESULTS}"))
    kept = [_Kept(file.parent, read_record(file, "parent", "settings", "held_out", BASE, "rounds")) for file in files]
    kept = sorted((one for one in kept if one.result["rounds"]), key=lambda one: (one.same, one.folder.name))
    return [_compared(list(group)) for _, group in groupby(kept, key=lambda one: one.same)]


def _compared(group: list[_Kept]) -> Compared:
    result = group[0].result
    base = Line(BASE, "", 0, BASE, result["base"]["digest"], **_rate(result["base"]))
    lines = _named([line for one in group for line in _lines(one)], {one.folder.name: one.result for one in group})
    lines = _once([_tested(line, base, lines) for line in lines])
    adjusted = holm([line.p_base for line in lines if line.p_base is not None])
    lines = [replace(line, p_base_holm=p) for line, p in zip(lines, adjusted, strict=True)]
    first, last = result["held_out"]
    return Compared(result["parent"], (first, last), [base, *lines])


def _lines(one: _Kept) -> list[Line]:
    """Round by round; what a round took is added to what those before it took."""
    result, lines = one.result, list[Line]()
    rolled, solved, minutes = dict[str, tuple[int, int | None]](), 0, Counter[str]()
    acting = result["base"]["digest"]
    for told in result["rounds"]:
        rolled[acting] = (told.get("rolled_out", 0), _environment_steps(told, one.folder))
        solved += told.get(CORRECTIONS, 0)
        minutes.update(told["minutes"])
        for arm, rate in told["rates"].items():
            trained = rate["digest"] != result["base"]["digest"]
            line = Line("", one.folder.name, told["round"], arm, rate["digest"], **_rate(rate))
            line = replace(line, steps=told["round"] * result["settings"]["steps"] if trained else 0)
            line = replace(line, minutes=round(minutes[f"train {arm}"] + (arm != CONTROL) * minutes["made"], 2))
            if arm != CONTROL:
                acting = rate["digest"]
                line = replace(line, **_taken(rolled.values()), corrections=solved, auc=_auc(told))
            lines.append(line)
    return lines


def _rate(rate: dict[str, Any]) -> dict[str, Any]:
    return {key: rate[key] for key in ("k", "n", "low", "high")}


def _taken(rolled: Iterable[tuple[int, int | None]]) -> dict[str, Any]:
    """Of each policy that was rolled out: a round with the same one has that of earlier rounds too."""
    episodes, steps = zip(*rolled, strict=True)
    return {"rolled_out": sum(episodes), "environment_steps": None if None in steps else sum(steps)}


def _environment_steps(told: dict[str, Any], folder: Path) -> int | None:
    """Older results of corrections do not say; then the episodes do."""
    episodes = folder / f"round-{told['round']}" / "rollouts"
    if "environment_steps" in told or not episodes.is_dir():
        return told.get("environment_steps")
    return sum(result.steps for result in ResultsFile(episodes).done.values())


def _auc(told: dict[str, Any]) -> tuple[float, float, float] | None:
    ranking = told.get("calibration", {}).get("ranking")
    return (ranking["auc"], ranking["low"], ranking["high"]) if ranking else None


def _tested(line: Line, base: Line, lines: list[Line]) -> Line:
    def p(fits: Callable[[Line], bool]) -> float | None:
        other = next((other for other in lines if fits(other)), None)
        return None if other is None else _p(line, other)

    if line.arm == CONTROL:
        return replace(line, p_base=_p(line, base))
    own = (line.improvement, line.round, CONTROL)
    return replace(
        line,
        p_base=_p(line, base),
        p_control=p(lambda other: (other.improvement, other.round, other.arm) == own),
        p_corrections=None
        if line.corrections
        else p(lambda other: bool(other.corrections) and other.rolled_out == line.rolled_out),
    )


def _p(line: Line, other: Line) -> float:
    return compare_counts(line.k, line.n, other.k, other.n).p


def _named(lines: list[Line], results: dict[str, dict[str, Any]]) -> list[Line]:
    """By what sets them apart: arm and its own settings; where that is not enough, every setting that differs."""
    settings = {name: _flat(result["settings"]) for name, result in results.items()}
    named = [replace(line, policy=_name(line, results[line.improvement]["settings"])) for line in lines]
    return [replace(line, policy=", ".join([line.policy, *_differing(line, named, settings)])) for line in named]


def _name(line: Line, settings: dict[str, Any]) -> str:
    own = settings.get(line.arm)
    parts = [f"{key} {value}" for key, value in own.items()] if isinstance(own, dict) else []
    if line.corrections:
        parts.append(f"{line.corrections} corrections")
    if line.steps:
        parts.append(f"{line.steps} more steps")
    return ", ".join([line.arm, *parts, *([f"round {line.round}"] if line.round > 1 else [])])


def _differing(line: Line, lines: list[Line], settings: dict[str, dict[str, Any]]) -> list[str]:
    if line.arm == CONTROL:
        return []
    names = [other.improvement for other in lines if other.policy == line.policy]
    ours = settings[line.improvement]
    return [
        f"{key} {ours.get(key)}"
        for key in sorted({key for name in names for key in settings[name]} - {"rounds"})
        if len({str(settings[name].get(key)) for name in names}) > 1
    ]


def _flat(settings: dict[str, Any], under: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{under}{key}.") if isinstance(value, dict) else {under + key: value}
    return flat


def _once(lines: list[Line]) -> list[Line]:
    """Controls of several improvements that are one policy are one line, with the minutes of the one that trained it."""
    shown = dict[tuple, Line]()
    for line in lines:
        key = (CONTROL, line.digest) if line.arm == CONTROL else (line.improvement, line.round, line.arm)
        if key not in shown or shown[key].minutes < line.minutes:
            shown[key] = line
    return sorted(shown.values(), key=_order)


def _order(line: Line) -> tuple:
    """Controls last, the planner's corrections before them; numbers in names by their size."""
    numbers = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", line.policy)]
    return line.arm == CONTROL, bool(line.corrections), line.arm, numbers
