"""A comparison on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pirig.comparison.compare import Column, Comparison, Pair, Row
from pirig.comparison.published import Beside
from pirig.comparison.statistics import ALPHA
from pirig.comparison.success import SuccessRow
from pirig.files.progress import clock

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

FEW = 4  # rows up to which the settings are a table of their own, with a column for each row
WIDE = 130  # characters from which on there is room for a drawn interval
BAR_CELLS = 12
MOST_PAIRS = 20
GAP = 2  # characters between columns


def show(comparison: Comparison, console: Console, others: Sequence[Beside] = ()) -> None:
    """`others`: published rates of the same tasks."""
    rows, columns = comparison.rows, comparison.columns
    results = _results(rows, drawn=console.width >= WIDE)
    labels, settings = results[:1], [_setting(rows, column) for column in columns]
    left_out: list[Column] = []
    if columns and len(rows) <= FEW:
        console.print(_settings(comparison))
    elif _fitting(results, settings, console.width) == len(settings):
        results[1:1] = settings
    else:
        fits = _fitting(labels, settings, console.width)
        left_out = columns[fits:]
        console.print(_table("Settings that differ", labels + settings[:fits]))
    console.print(_table("Results", results))
    if left_out:
        names = ", ".join(column.name for column in left_out)
        console.print(f"{len(left_out)} more settings differ: {names} (a wider terminal, --csv or --html shows them)")
    if len(rows) > 1 and not comparison.columns:
        console.print("no setting that changes results differs")
    for mark, marked in _marks(rows).items():
        console.print(f"[yellow]![/] {mark}: {_some(marked)}")
    _print_pairs(comparison, console)
    _print_others(others, console)


def _settings(comparison: Comparison) -> Table:
    names = ["setting", *(column.name for column in comparison.columns)]
    texts = [[row.label, *(_text(row, column) for column in comparison.columns)] for row in comparison.rows]
    return _table("Settings that differ", [names, *texts])


def _setting(rows: list[Row], column: Column) -> list[str]:
    return [column.name.replace(".", ".\n"), *(_text(row, column) for row in rows)]


def _text(row: Row, column: Column) -> str:
    return value_text(row.settings[column.key]) if column.key in row.settings else ""


def _fitting(others: list[list[str]], settings: list[list[str]], width: int) -> int:
    """How many of the settings fit beside the other columns on so many characters."""
    left = width - GAP - sum(_width(column) for column in others)
    for count, column in enumerate(settings):
        left -= _width(column)
        if left < 0:
            return count
    return len(settings)


def _width(column: list[str]) -> int:
    return max(len(line) for text in column for line in text.split("\n")) + GAP


def _results(rows: list[Row], drawn: bool) -> list[list[str]]:
    """Columns, each with its heading."""
    names = ["run", "success", "95 %", "un-\ntrained", "oracle", "loss", "step", "state"]
    return [list(column) for column in zip(names, *(_result(row, drawn) for row in rows), strict=True)]


def _result(row: Row, drawn: bool) -> list[str]:
    training, counts = row.run.training, row.evaluation.rows if row.evaluation else {}
    return [
        row.label,
        count_text(row.policy) + (" !" if row.policy and row.marks else ""),
        _bar(row.policy, drawn),
        count_text(counts.get("untrained")),
        count_text(counts.get("oracle")),
        number(training.loss, 3),
        f"{training.step}/{row.run.steps}",
        state_text(row),
    ]


def _table(title: str, columns: list[list[str]]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, GAP - 1, 0, 0)
    )
    for column in columns:
        table.add_column(column[0], overflow="fold", no_wrap=column[0] != "state")
    for cells in zip(*(column[1:] for column in columns), strict=True):
        table.add_row(*cells)
    return table


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


def _bar(count: SuccessRow | None, drawn: bool) -> str:
    """The Wilson interval; drawn, it lies on a line from 0 to 100 % with the rate as a dot on it."""
    if count is None:
        return "-"
    text = f"{count.low * 100:.0f}-{count.high * 100:.0f} %"
    if not drawn:
        return text
    cells = ["·"] * BAR_CELLS
    first, last, dot = (min(BAR_CELLS - 1, int(part * BAR_CELLS)) for part in (count.low, count.high, count.share))
    cells[first : last + 1] = ["━"] * (last + 1 - first)
    cells[dot] = "●"
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
        console.print("nothing to compare: two finished evaluations of one task are needed")
        return
    scope = "every pair" if len(wanted) == len(comparison.pairs) else "each with the best of its task"
    console.print(f"[bold]Do they differ?[/] Fisher's exact test, two-sided, 5 %; {scope}\n")
    widths = [
        max(len(label) for label in labels) for labels in zip(*(_pair_labels(pair) for pair in pairs), strict=True)
    ]
    for pair in pairs:
        first, second = (label.ljust(width) for label, width in zip(_pair_labels(pair), widths, strict=True))
        style = "green" if pair.verdict.differ else "default"
        console.print(f" {first} : {second}  p {p_text(pair.verdict.p)}", soft_wrap=True)
        console.print(f"   [{style}]{pair.verdict.text}[/]; {pair.remark}", soft_wrap=True)
    if wanted[MOST_PAIRS:]:
        console.print(f" and {len(wanted) - MOST_PAIRS} more; --markdown, --json or --html shows them")
    if len(comparison.pairs) > 1:
        console.print(f"\n{many_pairs(comparison.pairs)}", soft_wrap=True)


def _print_others(others: Sequence[Beside], console: Console) -> None:
    if not others:
        return
    console.print("\n[bold]Beside other people's rates[/] (their protocols differ; --markdown says how)\n")
    for each in others:
        ours = f"{each.ours.label} {count_text(each.ours.policy)}"
        console.print(f" {each.theirs.task}: {each.theirs.name} {each.theirs.text} : {ours}", soft_wrap=True)
        console.print(f"   {each.text}", soft_wrap=True)


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
