"""A comparison on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pirig.comparison.compare import Column as Setting
from pirig.comparison.compare import Comparison, Pair, Row
from pirig.comparison.published import Beside
from pirig.comparison.statistics import ALPHA
from pirig.comparison.success import SuccessRow
from pirig.files import tables
from pirig.files.progress import clock
from pirig.files.tables import Column

if TYPE_CHECKING:
    from rich.console import Console

FEW = 4  # rows up to which the settings are a table of their own, with a column for each row
WIDE = 130  # characters from which on there is room for a drawn interval
BAR_CELLS = 12
MOST_PAIRS = 20
ALWAYS_SHOWN = 10  # settings go before any column of results
HINT = "a wider terminal, --csv or --html shows them"


def show(comparison: Comparison, console: Console, others: Sequence[Beside] = ()) -> None:
    """`others`: published rates of the same tasks."""
    rows, columns = comparison.rows, comparison.columns
    results = _results(rows, drawn=console.width >= WIDE, ascii_only=console.options.ascii_only)
    settings = [_setting(rows, column, place) for place, column in enumerate(columns)]
    if columns and len(rows) <= FEW:
        tables.show(console, _settings(comparison), "Settings that differ")
    elif _all_fit(console, [results[0], *settings, *results[1:]]):
        results[1:1] = settings
    else:
        tables.show(console, [results[0], *settings], "Settings that differ", HINT)
    tables.show(console, results, "Results", HINT)
    if len(rows) > 1 and not comparison.columns:
        _say(console, "no setting that changes results differs")
    for row in rows:
        if row.policy and row.policy.late:
            _say(console, escape(f"{row.label}: {row.policy.late_text()}"))
    for mark, marked in _marks(rows).items():
        _say(console, f"[yellow]![/] {escape(mark)}: {escape(_some(marked))}")
    _print_pairs(comparison, console)
    _print_others(others, console)


def _say(console: Console, text: str) -> None:
    """A line that the terminal breaks, with markup in it: texts of users are escaped."""
    console.print(text, soft_wrap=True)


def _settings(comparison: Comparison) -> list[Column]:
    """A line for each setting, a column for each row."""
    names = Column("setting", [setting.name for setting in comparison.columns], folds=True)
    return [
        names,
        *(
            Column(row.label, [_text(row, setting) for setting in comparison.columns], folds=True)
            for row in comparison.rows
        ),
    ]


def _setting(rows: list[Row], setting: Setting, place: int) -> Column:
    """The last ones go first."""
    return Column(
        setting.name.replace(".", ".\n"), [_text(row, setting) for row in rows], folds=True, drop=ALWAYS_SHOWN + place
    )


def _text(row: Row, setting: Setting) -> str:
    return value_text(row.settings[setting.key]) if setting.key in row.settings else ""


def _all_fit(console: Console, columns: list[Column]) -> bool:
    fitted = tables.fitted(console, columns, "Results")
    return fitted is not None and len(fitted) == len(columns)


def _results(rows: list[Row], drawn: bool, ascii_only: bool) -> list[Column]:
    columns = (
        Column("run", [row.label for row in rows], folds=True),
        Column("success", [_success(row) for row in rows]),
        Column("95 %", [_bar(row.policy, drawn, ascii_only) for row in rows], drop=1),
        Column("start", [count_text(_count(row, "zero_shot") or _count(row, "untrained")) for row in rows], drop=4),
        Column("oracle", [count_text(_count(row, "oracle")) for row in rows], drop=5),
        Column("loss", [number(row.run.training.loss, 3) for row in rows], drop=6),
        Column("step", [f"{row.run.training.step}/{row.run.steps}" for row in rows], drop=3),
        *_costs(rows),
        Column("state", [state_text(row) for row in rows], folds=True, drop=2),
    )
    return list(columns)


def _costs(rows: list[Row]) -> list[Column]:
    """Where no stage left a record, no column."""
    if not any(row.run.costs for row in rows):
        return []
    return [
        Column("minutes", [number(row.run.minutes, 3) for row in rows], drop=7),
        Column("peak GB", [number(row.run.peak_gb, 3) for row in rows], drop=8),
    ]


def _success(row: Row) -> str:
    return count_text(row.policy) + (" !" if row.policy and row.marks else "")


def _count(row: Row, name: str) -> SuccessRow | None:
    return row.evaluation.rows.get(name) if row.evaluation else None


def escape(text: str) -> str:
    """Brackets of a user's text are no markup."""
    from rich.markup import escape as escaped

    return escaped(text)


def state_text(row: Row) -> str:
    """The state, with the time that a running training still needs at its median step time."""
    run = row.run
    if run.status.get("stage") != "train" or not run.state.endswith("running") or not run.training.step_s:
        return run.state
    left_s = (run.steps - run.training.step) * run.training.step_s
    return f"{run.state}, ETA {clock(left_s)}"


def count_text(count: SuccessRow | None) -> str:
    if count is None:
        return "-"
    return f"{count.k}/{count.n}" + (f" (of {count.of})" if count.of else "")


def interval_text(count: SuccessRow | None) -> str:
    return f"{count.low:.1%} to {count.high:.1%}" if count else "-"


def number(value: float | None, digits: int = 4) -> str:
    return "-" if value is None else f"{value:.{digits}g}"


def value_text(value: Any) -> str:
    return "-" if value is None else str(value)


def _bar(count: SuccessRow | None, drawn: bool, ascii_only: bool = False) -> str:
    """The Wilson interval; drawn, it lies on a line from 0 to 100 % with the rate as a dot on it."""
    if count is None:
        return "-"
    text = f"{count.low * 100:.0f}-{count.high * 100:.0f} %"
    if not drawn:
        return text
    blank, line, point = ".-o" if ascii_only else "·━●"
    cells = [blank] * BAR_CELLS
    first, last, dot = (min(BAR_CELLS - 1, int(part * BAR_CELLS)) for part in (count.low, count.high, count.share))
    cells[first : last + 1] = [line] * (last + 1 - first)
    cells[dot] = point
    return f"{''.join(cells)} {text}"


def _marks(rows: list[Row]) -> dict[str, list[str]]:
    labels: dict[str, list[str]] = {}
    for row in rows:
        for mark in row.marks:
            labels.setdefault(mark, []).append(row.label)
        if row.policy and row.policy.of:
            labels.setdefault("evaluation not finished, so not compared", []).append(row.label)
    return labels


def _some(labels: list[str], shown: int = 6) -> str:
    rest = f" and {len(labels) - shown} more" if len(labels) > shown else ""
    return ", ".join(labels[:shown]) + rest


def _print_pairs(comparison: Comparison, console: Console) -> None:
    wanted = comparison.shown_pairs()
    pairs = wanted[:MOST_PAIRS]
    if not pairs:
        _say(console, "nothing to compare: two finished evaluations of one task are needed")
        return
    scope = "every pair" if len(wanted) == len(comparison.pairs) else "each with the best of its task"
    _say(console, f"[bold]Do they differ?[/] Fisher's exact test, two-sided, 5 %; {scope}\n")
    widths = [
        max(len(label) for label in labels) for labels in zip(*(_pair_labels(pair) for pair in pairs), strict=True)
    ]
    for pair in pairs:
        first, second = (label.ljust(width) for label, width in zip(_pair_labels(pair), widths, strict=True))
        style = "green" if pair.verdict.differ else "default"
        _say(console, f" {escape(first)} : {escape(second)}  p {p_text(pair.verdict.p)}")
        _say(console, f"   [{style}]{pair.verdict.text}[/]; {escape(pair.remark)}")
    if wanted[MOST_PAIRS:]:
        _say(console, f" and {len(wanted) - MOST_PAIRS} more; --markdown, --json or --html shows them")
    if len(comparison.pairs) > 1:
        _say(console, f"\n{many_pairs(comparison.pairs)}")


def _print_others(others: Sequence[Beside], console: Console) -> None:
    if not others:
        return
    _say(console, "\n[bold]Beside other people's rates[/] (their protocols differ; --markdown says how)\n")
    for each in others:
        ours = f"{each.ours.label} {count_text(each.ours.policy)}"
        _say(console, escape(f" {each.theirs.task}: {each.theirs.name} {each.theirs.text} : {ours}"))
        _say(console, escape(f"   {each.text}"))


def _pair_labels(pair: Pair) -> tuple[str, str]:
    return (
        f"{pair.first.label} {count_text(pair.first.policy)}",
        f"{pair.second.label} {count_text(pair.second.policy)}",
    )


def p_text(p: float) -> str:
    return "<0.0001" if p < 1e-4 else f"{p:.4f}" if p < 0.01 else f"{p:.2f}"


def many_pairs(pairs: list[Pair]) -> str:
    differ = sum(pair.verdict.differ for pair in pairs)
    kept = sum(pair.p_holm < ALPHA for pair in pairs)
    text = f"{len(pairs)} pairs tested: {differ} differ at 5 %"
    return text + (f", {kept} of them also after Holm's correction for so many tests." if differ else ".")
