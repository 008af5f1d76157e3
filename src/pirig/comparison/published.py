"""Other people's success rates, beside ours: a small YAML each (others/), with the source and what differs.

A row has `k` and `n`, so that a test can compare it, or a `percent` where nobody said of how many.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from pirig.comparison.compare import Comparison, Row
from pirig.comparison.statistics import Verdict, compare_counts, wilson

FOLDER = "others"  # beside this file
ROW_KEYS = {"name", "task", "k", "n", "percent"}


@dataclass(frozen=True)
class Published:
    """`n` 0: only `share` (0 to 1) is known. `protocol`: what differs from an evaluation of ours."""

    name: str
    task: str
    share: float
    source: str
    protocol: str
    k: int = 0
    n: int = 0

    @property
    def text(self) -> str:
        if not self.n:
            return f"{100 * self.share:.1f} %, n not said"
        low, high = wilson(self.k, self.n)
        return f"{self.k}/{self.n} [{100 * low:.0f} %, {100 * high:.0f} %]"


@dataclass(frozen=True)
class Beside:
    """A published rate and the best of our finished results of its task; without n there is no verdict."""

    theirs: Published
    ours: Row
    verdict: Verdict | None

    @property
    def text(self) -> str:
        if self.verdict is None:
            return "no test: n is not known"
        return f"{self.verdict.text} (p {self.verdict.p:.2g})"


def beside(comparison: Comparison, published: Iterable[Published]) -> list[Beside]:
    """Of the tasks that the comparison has a finished result of, in its order."""
    best: dict[str, Row] = {}
    for row in comparison.rows:
        if row.measured:
            best.setdefault(row.task, row)
    pairs = [(best[theirs.task], theirs) for theirs in published if theirs.task in best]
    order = list(best)
    return [
        Beside(theirs, ours, _verdict(theirs, ours))
        for ours, theirs in sorted(pairs, key=lambda it: order.index(it[1].task))
    ]


def _verdict(theirs: Published, ours: Row) -> Verdict | None:
    count = ours.measured
    assert count
    return compare_counts(count.k, count.n, theirs.k, theirs.n) if theirs.n else None


def shipped() -> list[Published]:
    """Those that come with pirig."""
    files = sorted(resources.files("pirig.comparison").joinpath(FOLDER).iterdir(), key=lambda file: file.name)
    return [row for file in files if file.name.endswith(".yaml") for row in parsed(file.read_text(), file.name)]


def read(path: Path) -> list[Published]:
    """A user's own file. Raises ValueError with the file and what is wrong in it."""
    try:
        text = path.read_text()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror or error})") from error
    return parsed(text, str(path))


def parsed(text: str, source: str) -> list[Published]:
    """Raises ValueError that names the row."""
    try:
        plain = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{source}: no YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(plain, dict) or not isinstance(plain.get("rows"), list) or not plain.get("source"):
        raise ValueError(f"{source}: expected source, protocol and rows, each row with name, task and k, n or percent")
    about = {"source": str(plain["source"]), "protocol": str(plain.get("protocol", ""))}
    return [_row(row, about, f"{source}: row {number}") for number, row in enumerate(plain["rows"], 1)]


def _row(row: Any, about: dict[str, str], where: str) -> Published:
    if not isinstance(row, dict) or set(row) - ROW_KEYS or not {"name", "task"} <= set(row):
        raise ValueError(f"{where} is {row}, expected name, task and k and n, or percent")
    names = {"name": str(row["name"]), "task": str(row["task"]), **about}
    if {"k", "n"} <= set(row) and "percent" not in row:
        k, n = row["k"], row["n"]
        if not (type(k) is int and type(n) is int and 0 <= k <= n and n > 0):
            raise ValueError(f"{where} has k {k} of n {n}, expected whole numbers with 0 <= k <= n")
        return Published(share=k / n, k=k, n=n, **names)
    percent = row.get("percent")
    if not isinstance(percent, int | float) or not 0 <= percent <= 100 or {"k", "n"} & set(row):
        raise ValueError(f"{where} is {row}, expected k and n, or a percent from 0 to 100")
    return Published(share=float(percent) / 100, k=0, n=0, **names)
