"""Results side by side: in what their settings differ, and whether their success rates do."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, repeat
from typing import Any

from pirig.comparison.collect import Evaluation, Run
from pirig.comparison.delays import UNSAID, beside_no_delay
from pirig.comparison.statistics import Verdict, compare_counts, holm
from pirig.comparison.success import SuccessRow
from pirig.runs.record import RESULT_FREE

HIDDEN = tuple(f"{key}." for key in RESULT_FREE) + RESULT_FREE  # of the config; an evaluation has settings of its own
NOT_SETTINGS = ("checkpoint", "checkpoint_digest", "train_seed")  # of an evaluation's settings.json: said elsewhere
SEED = "train.seed"
ALL_PAIRS = 6  # results up to which every pair is listed; above, each is compared with the best of its task


@dataclass(frozen=True)
class Row:
    """One evaluation of one run, or a run that has none."""

    label: str
    run: Run
    evaluation: Evaluation | None

    @property
    def policy(self) -> SuccessRow | None:
        return self.evaluation.rows.get("policy") if self.evaluation else None

    @property
    def measured(self) -> SuccessRow | None:
        """The policy's count once its evaluation has ended: before, it is biased towards episodes that end early."""
        return self.policy if self.evaluation and self.evaluation.finished else None

    @property
    def task(self) -> str:
        return str(self.run.config.get("task.name", self.run.contract.get("env_id", "")))

    @property
    def marks(self) -> list[str]:
        return list(dict.fromkeys(self.run.marks + (self.evaluation.marks if self.evaluation else [])))

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Flat; what changes results. Of eval.* what this evaluation was made with, not what the run was."""
        kept = {key: value for key, value in self.run.config.items() if not key.startswith(HIDDEN)}
        own = UNSAID | self.evaluation.settings if self.evaluation else {}
        kept |= {"improve.parent": self.run.descent}
        return kept | {f"eval.{key}": value for key, value in own.items() if key not in NOT_SETTINGS}


@dataclass(frozen=True)
class Column:
    """A setting that differs: what it is called and the key that holds its value."""

    name: str
    key: str


@dataclass(frozen=True)
class Pair:
    """`changed`: names of the columns in which the two differ; `p_holm`: adjusted for all pairs of the comparison."""

    first: Row
    second: Row
    verdict: Verdict
    p_holm: float
    changed: list[str]

    @property
    def remark(self) -> str:
        others = [name for name in self.changed if name != SEED]
        besides = ", besides the seed" if len(others) < len(self.changed) else ""
        if not self.changed:
            return "equal settings"
        if not others:
            return "two seeds of one config"
        if len(others) == 1:
            return f"only {others[0]} differs{besides}"
        return f"{len(others)} settings differ{besides}: {', '.join(others)}; the test cannot say which one matters"


class Comparison:
    """Rows by task, then from the highest success rate to the lowest; those without a result last."""

    def __init__(self, runs: list[Run]):
        self.runs = runs
        self.rows = sorted(_rows(runs), key=_rank)
        self.keys = differing_keys([row.settings for row in self.rows])
        self.columns = columns([row.settings for row in self.rows], self.keys)

    @cached_property
    def pairs(self) -> list[Pair]:
        """Of every two finished evaluations of one task."""
        rows = [row for row in self.rows if row.measured]
        compared = [
            (a, b, _verdict(a, b)) for a, b in combinations(rows, 2) if a.task == b.task and not is_repeat(a, b)
        ]
        adjusted = holm([verdict.p for _, _, verdict in compared])
        return [
            Pair(a, b, verdict, p, self.changed(a, b)) for (a, b, verdict), p in zip(compared, adjusted, strict=True)
        ]

    def shown_pairs(self) -> list[Pair]:
        """All of them while they are few, else each row beside the best of its task."""
        if sum(row.measured is not None for row in self.rows) <= ALL_PAIRS:
            return self.pairs
        best = {row.task: row.label for row in reversed(self.rows) if row.measured}
        return [pair for pair in self.pairs if pair.first.label == best[pair.first.task]]

    def changed(self, first: Row, second: Row) -> list[str]:
        left, right = first.settings, second.settings
        return [
            column.name
            for column in self.columns
            if column.key in left and column.key in right and left[column.key] != right[column.key]
        ]


def is_repeat(first: Row, second: Row) -> bool:
    """One policy measured twice with the same settings: the same episodes again, no second sample."""
    assert first.evaluation and second.evaluation
    return first.settings == second.settings and (
        _policy_of(first) == _policy_of(second) or _digest_of(first) == _digest_of(second) is not None
    )


def _policy_of(row: Row) -> tuple[Any, ...]:
    return row.run.folder.resolve(), row.evaluation.step if row.evaluation else None


def _digest_of(row: Row) -> str | None:
    return row.evaluation.settings.get("checkpoint_digest") if row.evaluation else None


def _verdict(first: Row, second: Row) -> Verdict:
    a, b = first.measured, second.measured
    assert a and b
    return compare_counts(a.k, a.n, b.k, b.n)


def _rows(runs: list[Run]) -> list[Row]:
    names = _run_names(runs)
    rows = []
    for run, name in zip(runs, names, strict=True):
        several = len(run.evaluations) > 1
        steps = Counter(evaluation.step for evaluation in run.evaluations)
        for evaluation in map(_with_fall, run.evaluations, repeat(run.evaluations)):
            tail = (
                f"@{evaluation.step}"
                if steps[evaluation.step] == 1
                else f"@{evaluation.folder.name.removeprefix('step')}"
            )
            rows.append(Row(name + tail if several else name, run, evaluation))
        if not run.evaluations:
            rows.append(Row(name, run, None))
    return rows


def _with_fall(evaluation: Evaluation, others: Sequence[Evaluation]) -> Evaluation:
    """Its policy row beside that of the same evaluation without delay."""
    if "policy" not in evaluation.rows:
        return evaluation
    beside = ((other.settings, other.rows["policy"]) for other in others if other.finished)
    policy = beside_no_delay(evaluation.rows["policy"], evaluation.settings, beside)
    return replace(evaluation, rows={**evaluation.rows, "policy": policy})


def _run_names(runs: list[Run]) -> list[str]:
    """The shortest tail of each path that tells them all apart, one length for all."""
    for count in (1, 2, 3):
        names = ["/".join(run.folder.parts[-count:]) for run in runs]
        if len(set(names)) == len(names):
            return names
    return [str(run.folder) for run in runs]


def _rank(row: Row) -> tuple[Any, ...]:
    share = row.policy.share if row.policy else 0.0
    return row.task, row.measured is None, row.policy is None, -share, row.label


def differing_keys(settings: list[dict[str, Any]]) -> list[str]:
    """Keys with more than one value among the rows that have them, in the schema's order."""
    keys = list(dict.fromkeys(key for row in settings for key in row))
    values = {key: {_frozen(row[key]) for row in settings if key in row} for key in keys}
    return [key for key in keys if len(values[key]) > 1]


def columns(settings: list[dict[str, Any]], keys: list[str]) -> list[Column]:
    """A group whose choices explain all its differences is one column (`camera`, not six numbers of its pose)."""
    chosen: list[Column] = []
    for key in keys:
        group = key.split(".")[0]
        name_key = f"{group}.name"
        if key == name_key:
            chosen.append(Column(group, key))
        elif name_key not in keys or not _explained(settings, name_key, key):
            chosen.append(Column(key, key))
    return chosen


def _explained(settings: list[dict[str, Any]], name_key: str, key: str) -> bool:
    seen: dict[str, set[str]] = {}
    for row in settings:
        if name_key in row and key in row:
            seen.setdefault(_frozen(row[name_key]), set()).add(_frozen(row[key]))
    return all(len(values) == 1 for values in seen.values())


def _frozen(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
