"""What the gates say of runs that are healthy: nothing, or they cry wolf.

    python -m benchmarks.healthy RUN... [--device NAME]

Asks `pirig doctor`'s gates of each run's newest checkpoint, config and data set, and writes what they said, beside the
success rate that was measured, to benchmarks/results/healthy-<device>.json. Entries of other runs stay.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS
from pirig.comparison.collect import read_run
from pirig.files.atomic import write_text
from pirig.gates.ask import reports


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--device", default="cpu-2cores")
    asked = parser.parse_args()
    path = RESULTS / f"healthy-{asked.device}.json"
    entries = json.loads(path.read_text())["runs"] if path.is_file() else {}
    for folder in asked.runs:
        entries["/".join(folder.resolve().parts[-2:])] = entry = healthy(folder)
        found = {"date": time.strftime("%Y-%m-%d"), "versions": {name: version(name) for name in ("mani-skill", "jax")}}
        write_text(path, json.dumps(found | {"runs": dict(sorted(entries.items()))}, indent=2) + "\n")
        said = "; ".join(entry["gates_raised"]) or f"{len(entry['gates'])} gates say nothing"
        print(f"{folder.name}  {entry['k']}/{entry['n']}  {said}", flush=True)
    raised = [name for name, entry in entries.items() if entry["gates_raised"]]
    if raised:
        print(f"not healthy, or a false alarm: {', '.join(raised)}", file=sys.stderr)
    return 1 if raised else 0


def healthy(folder: Path) -> dict[str, Any]:
    run = read_run(folder)
    found = [report.found for _, report in reports(folder)]
    count = run.evaluations[-1].rows["policy"] if run.evaluations else None
    return {
        "task": run.config["task.name"],
        "k": count.k if count else None,
        "n": count.n if count else None,
        "gates": [name for gates in found for name in gates],
        "gates_raised": [f"{name}: {line}" for gates in found for name, lines in gates.items() for line in lines],
    }


if __name__ == "__main__":
    sys.exit(main())
