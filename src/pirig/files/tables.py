"""Tables whose numbers are whole at every width: words fold, then whole columns go and are named, then rows become lists.

Nothing is ever cut off at the edge. What stands in a cell is text and no markup.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

SEAMS = re.compile(
    r"(?<=[ >|])|(?<=[/_-])(?=[A-Za-z._~])"
)  # where a word may go on in the next line: never inside a number
HINT = "a wider terminal shows them"


@dataclass(frozen=True)
class Column:
    """`folds`: its words may take several lines. `drop`: the highest goes first where there is no room, 0 never goes.

    `styles`: by cell, "" for none.
    """

    name: str
    cells: Sequence[str]
    right: bool = False
    folds: bool = False
    drop: int = 0
    styles: Sequence[str] = ()


def show(console: Console, columns: Sequence[Column], title: str = "", hint: str = HINT) -> list[str]:
    """Prints the table; says and returns the names of the columns that had no room. The first column names a row."""
    shown = fitted(console, columns, title)
    if shown is None:
        _print_lists(console, columns, title)
        return []
    console.print(table(shown, title))
    names = [_heading(column) for column in columns if column.name not in {one.name for one in shown}]
    if names:
        console.print(f"no room for {', '.join(names)}: {hint}", soft_wrap=True, markup=False, highlight=False)
    return names


def fitted(console: Console, columns: Sequence[Column], title: str = "") -> list[Column] | None:
    """As many of the columns as have room, with their words folded; None where not even those that must stay have."""
    left = list(columns)
    while True:
        folded = _folded(console, left, title)
        if folded is not None:
            return folded
        last = max(left, key=lambda column: column.drop)
        if not last.drop:
            return None
        left.remove(last)


def table(columns: Sequence[Column], title: str = "") -> Table:
    """As it is: no cell is folded or cut any more."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(
        title=Text(title, style="bold", overflow="fold") if title else None,
        title_justify="left",
        box=box.SIMPLE_HEAD if title else None,
        header_style="bold",
        pad_edge=bool(title),
        padding=(0, 1, 0, 0) if title else (0, 1),
    )
    for column in columns:
        made.add_column(Text(column.name), justify="right" if column.right else "left", no_wrap=True, overflow="ignore")
    styles = [column.styles or [""] * len(column.cells) for column in columns]
    for row in range(len(columns[0].cells)):
        made.add_row(
            *(Text(column.cells[row], style=style[row]) for column, style in zip(columns, styles, strict=True))
        )
    return made


def _folded(console: Console, columns: list[Column], title: str) -> list[Column] | None:
    """The columns with words folded as far as needed, the widest first; None where that is not enough."""
    spare = console.width - _width(console, columns, title)
    if spare >= 0:
        return columns
    for place in sorted(range(len(columns)), key=lambda place: -_widest(columns[place].cells)):
        column = columns[place]
        if column.folds:
            wanted = max(_widest(column.cells) + spare, 1)
            cells = [fold(cell, wanted) for cell in column.cells]
            columns = [*columns[:place], replace(column, cells=cells), *columns[place + 1 :]]
            spare = console.width - _width(console, columns, title)
            if spare >= 0:
                return columns
    return None


def fold(text: str, width: int) -> str:
    """Lines of at most `width`, broken at seams only: a longer piece stays whole."""
    lines = [""]
    for piece in SEAMS.split(text):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def _widest(cells: Sequence[str]) -> int:
    return max((len(line) for cell in cells for line in cell.split("\n")), default=0)


def _width(console: Console, columns: Sequence[Column], title: str) -> int:
    from rich.measure import Measurement

    wide = console.options.update(width=10_000, max_width=10_000)
    return Measurement.get(console, wide, table(columns, "" if not title else " ")).maximum


def _heading(column: Column) -> str:
    """On one line."""
    return column.name.replace("-\n", "").replace("\n", "")


def markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(_escaped(cell) for cell in row) + " |" for row in rows)


def _escaped(cell: str) -> str:
    return str(cell).replace("|", "\\|").replace("\n", " ")


def _print_lists(console: Console, columns: Sequence[Column], title: str) -> None:
    """A row as a list of its cells; what is too long for a line goes on in the next one, as the terminal breaks it."""
    lines = [title] if title else []
    for row in range(len(columns[0].cells)):
        lines.append(columns[0].cells[row])
        lines += [f"  {_heading(column)}: {column.cells[row]}" for column in columns[1:]]
    for line in lines:
        console.print(line, soft_wrap=True, markup=False, highlight=False)
