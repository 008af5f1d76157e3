"""Improvements of runs beside one another, in benchmarks/results/improving.json and .md, from `results.json` of each.

    python -m benchmarks.improving RUN... --device NAME

A table for each base and range of held-out scenes: best of N, heads, weighted steps, the planner's corrections, more steps alone,
each with k of n, the Wilson interval, what it took, and Fisher's exact test beside base, control and corrections. Tables of the
same run and device replace the older ones.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS
from pirig.files.atomic import write_text
from pirig.files.records import read_record
from pirig.improving.compared import Compared, Line, of_run
from pirig.improving.table import markdown_of_all

FILE = RESULTS / "improving.json"


def tables_of(run: Path, device: str) -> list[dict[str, Any]]:
    """Raises ValueError where nothing of the run was improved."""
    compared = of_run(run)
    if not compared:
        raise ValueError(f"{run}: no round of an improvement was measured; expected one of `pirig improve {run}`")
    versions = read_record(run / "environment.json", "versions")["versions"]
    about = {"run": f"{run.parent.name}/{run.name}", "device": device, "versions": versions}
    return [about | dataclasses.asdict(one) for one in compared]


def merged(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    said = {(table["run"], table["device"]) for table in new}
    kept = [table for table in old if (table["run"], table["device"]) not in said]
    return sorted(kept + new, key=lambda table: (table["run"], table["device"], table["held_out"]))


def written(table: dict[str, Any]) -> str:
    """As markdown."""
    lines = [Line(**line) for line in table["lines"]]
    return f"## {table['device']}\n\n" + markdown_of_all(Compared(table["parent"], tuple(table["held_out"]), lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--device", required=True, help="what it ran on, such as cpu-2cores")
    options = parser.parse_args()
    new = [table for run in options.runs for table in tables_of(run.absolute(), options.device)]
    tables = merged(json.loads(FILE.read_text()) if FILE.is_file() else [], new)
    write_text(FILE, json.dumps(tables, indent=2) + "\n")
    write_text(FILE.with_suffix(".md"), "\n".join(map(written, tables)))
    print("\n".join(map(written, new)))


if __name__ == "__main__":
    main()
