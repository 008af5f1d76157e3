"""The hand-over report: what was run, where it stands, what came out. Markdown."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from pirig.comparison.collect import Run
from pirig.comparison.compare import Comparison, Row
from pirig.comparison.published import Beside
from pirig.comparison.terminal import count_text, interval_text, many_pairs, number, p_text, state_text, value_text
from pirig.files.progress import clock
from pirig.files.tables import markdown

SETTINGS = {
    "task": "task.name",
    "model": "model.name",
    "size": "size.name",
    "fine-tuning": "finetune.name",
    "start": "weights.name",
    "camera": "camera.name",
    "state": "state.name",
    "horizon": "horizon.steps",
    "batch": "train.batch_size",
    "fsdp": "fsdp.devices",
    "steps": "train.steps",
    "schedule": "schedule.name",
    "peak LR": "schedule.peak_lr",
    "warm-up": "schedule.warmup_steps",
    "final LR": "schedule.final_lr",
    "clip": "train.clip_norm",
    "EMA": "train.ema",
    "save every": "train.save_every",
    "keep every": "train.keep_every",
    "seed": "train.seed",
}
RESULTS = [
    "run",
    "checkpoint",
    "success",
    "k/n",
    "Wilson 95 %",
    "at the end",
    "seeds",
    "limit",
    "start",
    "oracle",
    "marks",
]


def to_markdown(comparison: Comparison, others: Sequence[Beside] = ()) -> str:
    """`others`: published rates of the same tasks."""
    runs = list({row.run.folder: row.run for row in comparison.rows}.values())
    names = {run.folder: next(row.label for row in comparison.rows if row.run is run).split("@")[0] for run in runs}
    sections = [
        [f"# Runs, {time.strftime('%Y-%m-%d %H:%M')}", _summary(comparison, runs)],
        ["## Settings", _settings(comparison, runs, names)],
        ["## Training", _losses(runs, names)],
        ["## Results", _results(comparison), *_footnotes(comparison)],
        ["## Do they differ?", _pairs(comparison)],
        ["## Beside other people's rates", _others(others)] if others else [],
        ["## Still running, stopped or failed", _open(comparison, runs, names)],
        ["## Time, memory and hardware", _costs(runs, names)],
        ["## Data sets, contracts and code", _sources(runs, names)],
    ]
    return "\n\n".join(block for section in sections for block in section if block) + "\n"


def _others(others: Sequence[Beside]) -> str:
    """Each rate beside the best of ours of its task; below the table, where it is from and what differs."""
    header = ["task", "whose", "their rate", "ours", "Fisher's exact test"]
    lines = [
        [
            each.theirs.task,
            each.theirs.name,
            each.theirs.text,
            f"{each.ours.label} {count_text(each.ours.policy)}",
            each.text,
        ]
        for each in others
    ]
    notes = dict.fromkeys(f"- {row.name}: {row.source}; {row.protocol}." for row in (each.theirs for each in others))
    return markdown(header, lines) + "\n\n" + "\n".join(notes)


def _summary(comparison: Comparison, runs: list[Run]) -> str:
    done = sum(run.finished for run in runs)
    measured = sum(row.measured is not None for row in comparison.rows)
    return f"{len(runs)} runs, {done} trained and closed, {measured} finished evaluations."


def _settings(comparison: Comparison, runs: list[Run], names: dict[Any, str]) -> str:
    """A run per column while they are few, as the page is read; else a run per line. Data set sizes are settings too."""
    keys = dict(SETTINGS)
    known = set(keys.values()) | {"size.name"}
    for column in comparison.columns:
        if column.key not in known and not column.key.startswith("eval."):
            keys[column.name] = column.key
    lines = [[label, *(value_text(run.config.get(key)) for run in runs)] for label, key in keys.items()]
    lines.append(["episodes of data", *(value_text(run.data_set.get("episodes")) for run in runs)])
    header = ["setting", *(names[run.folder] for run in runs)]
    if len(runs) > 6:
        header, *lines = [list(line) for line in zip(header, *lines, strict=True)]
        header[0] = "run"
    return markdown(header, lines)


def _losses(runs: list[Run], names: dict[Any, str]) -> str:
    common = sorted({step for run in runs for step in list(run.training.milestones)[:-1]})
    header = ["run", *(f"{step:,}" for step in common), "last", "validation", "step", "time", "s/step", "samples/s"]
    lines = []
    for run in runs:
        training = run.training
        lines.append(
            [
                names[run.folder],
                *(number(training.milestones.get(step), 3) for step in common),
                number(training.loss, 3),
                number(training.validation_loss, 3),
                f"{training.step:,}/{run.steps:,}",
                clock(training.elapsed_s) if training.elapsed_s else "-",
                number(training.step_s, 3),
                number(training.samples_per_s, 3),
            ]
        )
    note = "Loss is the mean of the 20 steps up to the one named (at step 1 its own); time and speed are medians of a step."
    return note + "\n\n" + markdown(header, lines)


def _results(comparison: Comparison) -> str:
    lines = [_result(row) for row in comparison.rows if row.evaluation]
    return markdown(RESULTS, lines) if lines else "No evaluation yet."


def _result(row: Row) -> list[str]:
    assert row.evaluation
    count, counts = row.policy, row.evaluation.rows
    first = count.first_seed if count else None
    seeds = f"{first} to {first + count.n - 1}" if count and first is not None and not count.of else "-"
    return [
        row.label,
        value_text(row.evaluation.step),
        f"{count.share:.1%}" if count else "-",
        count_text(count),
        interval_text(count),
        f"{count.k_at_end}/{count.n}" if count else "-",
        seeds,
        value_text(row.evaluation.settings.get("limit")),
        count_text(counts.get("zero_shot") or counts.get("untrained")),
        count_text(counts.get("oracle")),
        "; ".join(row.marks) or "-",
    ]


def _footnotes(comparison: Comparison) -> Iterable[str]:
    if any(row.policy and row.policy.of for row in comparison.rows):
        yield "An evaluation that has not ended is given as k/n (of N); episodes that end early come first, so k/n leans high."
    if late := [row for row in comparison.rows if row.policy and row.policy.late]:
        yield "Chunks that come late (docs/delay.md):\n\n" + "\n".join(map(_late, late))
    funnels = [row for row in comparison.rows if row.policy and row.policy.sub_goals]
    if funnels:
        lines = [
            f"- {row.label}: " + ", ".join(f"{name} {k}" for name, k in _goals(row)) + _came_down(row)
            for row in funnels
        ]
        yield "Episodes that reached each sub-goal:\n\n" + "\n".join(lines)


def _late(row: Row) -> str:
    assert row.policy
    return f"- {row.label}: {row.policy.late_text()}"


def _came_down(row: Row) -> str:
    """Where the hand first came down beside the object, which tells zeros apart."""
    assert row.policy
    mm = row.policy.came_down_mm
    return "" if mm is None else f"; the hand first comes down {mm:.0f} mm beside the object (median)"


def _goals(row: Row) -> list[tuple[str, str]]:
    assert row.policy
    return [(name, f"{k}/{row.policy.n}") for name, k in row.policy.sub_goals.items()]


def _pairs(comparison: Comparison) -> str:
    pairs = comparison.shown_pairs()
    if not pairs:
        return "Nothing to compare: two finished evaluations of one task are needed."
    lines = [
        [
            f"{pair.first.label} : {pair.second.label}",
            f"{count_text(pair.first.policy)} : {count_text(pair.second.policy)}",
            p_text(pair.verdict.p),
            pair.verdict.text,
            pair.remark,
        ]
        for pair in pairs
    ]
    table = markdown(["pair", "counts", "p (Fisher)", "verdict", "settings"], lines)
    return table + ("\n\n" + many_pairs(comparison.pairs) if len(comparison.pairs) > 1 else "")


def _open(comparison: Comparison, runs: list[Run], names: dict[Any, str]) -> str:
    labels = {row.run.folder: row for row in comparison.rows}
    lines = []
    for run in runs:
        if not run.finished:
            error = f": {run.status['error']}" if run.status.get("error") else ""
            state = state_text(labels[run.folder]) + error
            lines.append(
                [names[run.folder], state, f"{run.training.step:,}/{run.steps:,}", f"{clock(run.silent_s())} ago"]
            )
    return markdown(["run", "state", "step", "last written"], lines) if lines else "Nothing: every run is done."


def _costs(runs: list[Run], names: dict[Any, str]) -> str:
    """A line per stage of a run; data that several runs share is told with each."""
    lines = [
        [
            names[run.folder],
            cost.stage,
            *(number(value, 3) for value in (cost.minutes, cost.peak_gb, cost.gpu_peak_gb)),
            cost.hardware,
        ]
        for run in runs
        for cost in run.costs
    ]
    header = ["run", "stage", "minutes", "peak GB", "GPU's peak GB", "hardware"]
    return markdown(header, lines) if lines else "No stage left a record (stages.json) of what it took."


def _sources(runs: list[Run], names: dict[Any, str]) -> str:
    lines = []
    for run in runs:
        code, data = run.environment.get("code", {}), run.data_set
        size = data.get("missing") or f"{data.get('episodes')} episodes, {data.get('frames')} frames"
        commit = (code.get("commit") or "-")[:10] + (" with changes" if code.get("changed") else "")
        lines.append(
            [names[run.folder], str(run.folder), data.get("folder", "-"), size, run.contract_hash or "-", commit]
        )
    return markdown(["run", "folder", "data set", "holds", "contract", "code"], lines)
