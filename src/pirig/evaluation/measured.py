"""What an evaluation found: rows by name. Closed loop each is a success rate, open loop an action error."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pirig.comparison.delays import beside_no_delay
from pirig.comparison.statistics import mean_interval, wilson
from pirig.comparison.success import SuccessRow
from pirig.config.mixes import configs_of
from pirig.config.recorded import takes_recording
from pirig.config.schema import Config
from pirig.files.atomic import write_text
from pirig.files.records import read_record

ZERO_SHOT, UNTRAINED = "zero_shot", "untrained"  # what training started from: given weights, random parameters
RATES, ACTION_ERROR = "rates.json", "action_error.json"
BESIDE = "step*/settings.json"  # of the evaluations of a run
NOT_SUCCESS = (
    "This is not a success rate: open loop, the policy sees recorded frames and never the results of its own actions. Success is "
    "measured on the arm."
)


def is_fine_tuned(config: Config) -> bool:
    """Whether training starts from given weights."""
    return bool(config.weights.path or config.weights.kind)


def started_from(config: Config) -> str:
    """The name of the row of what training started from."""
    return ZERO_SHOT if is_fine_tuned(config) else UNTRAINED


@dataclass(frozen=True)
class ErrorRow:
    """Mean |difference| from the demonstrated actions, by action number, beside always giving the mean action and repeating
    the last one; `of_mean_action` and `of_repeating`: as a share of theirs, each number weighted by its own spread."""

    frames: int
    episodes: int
    of_mean_action: float
    of_repeating: float | None
    error: dict[str, float]
    error_of_mean_action: dict[str, float]
    error_of_repeating: dict[str, float]

    def lines(self, name: str) -> list[str]:
        text = [
            f"action error on {self.frames} {name.replace('_', '-')} frames of {self.episodes} episodes (rad, gripper 0 to 1)",
            f"  {'':10} {'policy':>9} {'mean action':>12} {'repeat last':>12}",
        ]
        for number, error in self.error.items():
            mean, repeat = self.error_of_mean_action[number], self.error_of_repeating[number]
            text.append(f"  {number:10} {error:9.4f} {mean:12.4f} {repeat:12.4f}")
        share = f"{self.of_mean_action:.0%} of always giving the mean action"
        repeating = "" if self.of_repeating is None else f", {self.of_repeating:.0%} of repeating the last one"
        return [*text, f"  all, each by its own spread: {share}{repeating}"]

    def plain(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @staticmethod
    def from_plain(values: Mapping[str, Any]) -> ErrorRow:
        """Keys of other versions are passed over."""
        known = {entry.name for entry in dataclasses.fields(ErrorRow)}
        return ErrorRow(**{key: value for key, value in values.items() if key in known})


@dataclass(frozen=True)
class Measured:
    """Closed loop the rows are policy, oracle and `started_from` (a baseline only where it has episodes); open loop held_out
    (where episodes were) and training.

    `tasks`: of a mix or a suite, the rows of each task; `rows` are all of them together.
    """

    rows: Mapping[str, SuccessRow] | Mapping[str, ErrorRow]
    tasks: Mapping[str, Mapping[str, SuccessRow]] = field(default_factory=dict)

    @property
    def closed_loop(self) -> bool:
        return "policy" in self.rows

    @property
    def rates(self) -> Mapping[str, SuccessRow]:
        """Closed loop only."""
        return {name: row for name, row in self.rows.items() if isinstance(row, SuccessRow)}

    def plain(self) -> dict[str, dict[str, Any]]:
        tasks = {task: {name: row.plain() for name, row in rows.items()} for task, rows in self.tasks.items()}
        return {name: row.plain() for name, row in self.rows.items()} | ({"tasks": tasks} if tasks else {})

    def save(self, folder: Path) -> None:
        write_text(folder / (RATES if self.closed_loop else ACTION_ERROR), json.dumps(self.plain(), indent=2) + "\n")

    def lines(self) -> list[str]:
        text = [line for name, row in self.rows.items() for line in row.lines(name)]
        for task, rows in self.tasks.items():
            text += [f"  {task:20} {line}" for name, row in rows.items() for line in row.lines(name)]
        if self.closed_loop:
            return text
        if "held_out" not in self.rows:
            text.append(
                "No episode was held out of training: set train.validation_share=0.1 to see how it does on others."
            )
        return [*text, NOT_SUCCESS]

    def covers(self, config: Config) -> bool:
        """Whether every row has at least the episodes that are asked for."""
        asked = config.eval
        wanted = {"policy": asked.episodes, started_from(config): asked.untrained_episodes}
        if not self.closed_loop:
            return True
        for task, own in configs_of(config).items():
            rows = self.tasks.get(task, {}) if self.tasks and task else self.rates  # a suite's tasks share its episodes
            oracle = 0 if takes_recording(own) else min(1, asked.oracle_episodes)
            if not all(_has(rows.get(name), count) for name, count in {**wanted, "oracle": oracle}.items()):
                return False
        return True


def _has(row: SuccessRow | None, count: int) -> bool:
    return row.n >= count if row else count == 0


def load(folder: Path) -> Measured | None:
    """The finished result in an evaluation's folder, None where there is none; keys of other versions are passed over."""
    if (folder / RATES).is_file():
        plain = read_record(folder / RATES)
        try:
            tasks = {task: _success(rows) for task, rows in plain.pop("tasks", {}).items()}
            return Measured(_success(plain), tasks)
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"{folder / RATES}: {error}.") from error
    if (folder / ACTION_ERROR).is_file():
        plain = read_record(folder / ACTION_ERROR)
        return Measured({name: ErrorRow.from_plain(values) for name, values in plain.items()})
    return None


def _success(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, SuccessRow]:
    return {name: SuccessRow.from_plain(values) for name, values in rows.items()}


def with_fall(measured: Measured, folder: Path, settings: Mapping[str, Any]) -> Measured:
    """Its policy row beside that of the same evaluation without delay, where one lies beside `folder`."""
    if "policy" not in measured.rates:
        return measured
    others = ((read_record(file), load(file.parent)) for file in sorted(folder.parent.glob(BESIDE)))
    finished = ((theirs, found.rates["policy"]) for theirs, found in others if found and "policy" in found.rates)
    policy = beside_no_delay(measured.rates["policy"], settings, finished)
    return dataclasses.replace(measured, rows={**measured.rates, "policy": policy})


def with_spread(row: SuccessRow, name: str, tasks: Mapping[str, Mapping[str, SuccessRow]]) -> SuccessRow:
    """The row of a suite with the interval that its tasks' rates give, where there are two of them."""
    shares = [rows[name].share for rows in tasks.values() if name in rows]
    return dataclasses.replace(row, between_tasks=[*mean_interval(shares)]) if len(shares) > 1 else row


def together(tasks: Mapping[str, Measured]) -> Measured:
    """The results of a mix from those of its tasks."""
    rates = {task: measured.rates for task, measured in tasks.items()}
    names = next(iter(rates.values()))
    return Measured({name: _sum([rows[name] for rows in rates.values()]) for name in names}, rates)


def _sum(rows: Sequence[SuccessRow]) -> SuccessRow:
    """All episodes as one row; what only a task has (its sub-goals, files) stays with the task."""
    k, n = sum(row.k for row in rows), sum(row.n for row in rows)
    low, high = wilson(k, n)
    return SuccessRow(
        k,
        n,
        low,
        high,
        sum(row.k_at_end for row in rows),
        mean_steps=sum((row.mean_steps or 0) * row.n for row in rows) / n,
        max_steps=max(row.max_steps or 0 for row in rows),
        first_seed=min(row.first_seed or 0 for row in rows),
        gates_skipped=rows[0].gates_skipped,
        jerk=_mean_jerk(rows),
        **{name: getattr(rows[0], name) for name in ("delay", "rtc", "latency_ms")},
        stale=sum(row.stale * _steps(row) for row in rows) / max(1.0, sum(map(_steps, rows))),
    )


def _steps(row: SuccessRow) -> float:
    return row.n * (row.mean_steps or 0)


def _mean_jerk(rows: Sequence[SuccessRow]) -> float | None:
    """Root of the mean square over all steps."""
    if any(row.jerk is None for row in rows):
        return None
    squares = sum((row.jerk or 0) ** 2 * _steps(row) for row in rows)
    return (squares / max(1.0, sum(map(_steps, rows)))) ** 0.5
