"""A comparison as plain data: JSON (everything) and CSV (a line per row)."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Sequence
from typing import Any

from pirig.comparison.collect import Run
from pirig.comparison.compare import Comparison, Pair, Row
from pirig.comparison.published import Beside
from pirig.comparison.success import SuccessRow

COUNT_KEYS = ("k", "n", "low", "high", "k_at_end")
FILES = ("gates_skipped", "episodes", "videos")  # of an evaluation: `marks` and the run's folder say them


def to_json(comparison: Comparison, others: Sequence[Beside] = ()) -> str:
    plain = {
        "settings_that_differ": comparison.keys,
        "rows": [row_plain(row) for row in comparison.rows],
        "pairs": [pair_plain(pair) for pair in comparison.pairs],
        "published": [_beside_plain(each) for each in others],
    }
    return json.dumps(finite(plain), indent=2, default=str)


def _beside_plain(each: Beside) -> dict[str, Any]:
    return {
        **dataclasses.asdict(each.theirs),
        "ours": each.ours.label,
        "p": each.verdict.p if each.verdict else None,
        "verdict": each.text,
    }


def to_csv(comparison: Comparison) -> str:
    """Only settings that differ are columns; counts of policy, zero-shot, untrained and oracle are five columns each."""
    records = [_record(row, comparison.keys) for row in comparison.rows]
    target = io.StringIO()
    names = list(dict.fromkeys(name for record in records for name in record))
    writer = csv.DictWriter(target, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return target.getvalue()


def row_plain(row: Row) -> dict[str, Any]:
    run, training = row.run, row.run.training
    counts = row.evaluation.rows if row.evaluation else {}
    return {
        "label": row.label,
        "run": str(run.folder),
        "task": row.task,
        "state": run.state,
        "checkpoint_step": row.evaluation.step if row.evaluation else None,
        "evaluation": str(row.evaluation.folder) if row.evaluation else None,
        "settings": row.settings,
        "training": training_plain(row),
        "milestones": training.milestones,
        **{name: count_plain(count) for name, count in counts.items()},
        "marks": row.marks,
        "data_set": run.data_set,
        "contract_hash": run.contract_hash,
        "code": run.environment.get("code", {}),
        "stages": costs_plain(run),
    }


def costs_plain(run: Run) -> list[dict[str, Any]]:
    """What each stage took: minutes, peaks of memory in GB, hardware."""
    return [dataclasses.asdict(cost) for cost in run.costs]


def training_plain(row: Row) -> dict[str, Any]:
    training = row.run.training
    names = ("step", "loss", "validation_loss", "grad_norm_max", "samples_per_s", "step_s", "elapsed_s")
    return {"steps": row.run.steps, **{name: getattr(training, name) for name in names}}


def count_plain(count: SuccessRow) -> dict[str, Any]:
    plain = {name: value for name, value in dataclasses.asdict(count).items() if name not in FILES}
    return {**plain, "fall": count.fall, "finished": count.of is None}


def pair_plain(pair: Pair) -> dict[str, Any]:
    return {
        "first": pair.first.label,
        "second": pair.second.label,
        "p": pair.verdict.p,
        "p_holm": pair.p_holm,
        "differ": pair.verdict.differ,
        "episodes_needed": pair.verdict.episodes,
        "verdict": pair.verdict.text,
        "changed": pair.changed,
    }


def _record(row: Row, keys: list[str]) -> dict[str, Any]:
    plain = row_plain(row)
    record = {key: plain[key] for key in ("label", "run", "task", "state", "checkpoint_step")}
    record |= {key: _cell(row.settings.get(key)) for key in keys}
    record |= plain["training"]
    for name in ("policy", "zero_shot", "untrained", "oracle"):
        record |= {f"{name}_{key}": plain[name][key] for key in COUNT_KEYS if name in plain}
    if "policy" in plain:
        record["policy_finished"] = plain["policy"]["finished"]
        if row.policy and row.policy.late:
            record |= {f"policy_{key}": plain["policy"][key] for key in ("delay", "rtc", "stale", "jerk", "fall")}
    return record | {"marks": "; ".join(row.marks), "contract_hash": plain["contract_hash"]}


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, (list, dict)) else value


def finite(value: Any) -> Any:
    """JSON knows no NaN: it becomes null."""
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
