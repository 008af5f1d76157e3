"""What chunks that come late cost a policy that succeeds, without and with real-time chunking.

    python -m benchmarks.delay RUN [--episodes 40] [--execute 8] [--delays 0 2 4 8] [--device NAME]

Each row is `pirig eval RUN` with these keys, of the same scenes and the same noise; what is measured already is read. Writes
benchmarks/results/delay-<device>-<date>.json.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import report
from pirig.comparison.collect import read_run
from pirig.comparison.compare import Comparison, Row

ROW = ("k", "n", "low", "high", "k_at_end", "mean_steps", "stale", "jerk", "fall", "latency_ms")


def evaluated(run: Path, settings: dict[str, Any]) -> Row:
    """Measured, where it is not yet."""
    if (there := measured(run, settings)) is not None:
        return there
    keys = [
        f"eval.{name}={value}".replace("True", "true").replace("False", "false") for name, value in settings.items()
    ]
    alone = ["eval.oracle_episodes=0", "eval.untrained_episodes=0", "eval.videos=0"]
    subprocess.run([sys.executable, "-m", "pirig", "eval", str(run), *keys, *alone], check=True)
    found = measured(run, settings)
    assert found is not None
    return found


def measured(run: Path, settings: dict[str, Any]) -> Row | None:
    wanted = {f"eval.{name}": value for name, value in settings.items() if name != "episodes"}
    for row in Comparison([read_run(run)]).rows:
        alike = all(str(row.settings.get(key)) == str(value) for key, value in wanted.items())
        if alike and row.measured and row.measured.n >= settings["episodes"]:
            return row
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--episodes", type=int, default=40)
    parser.add_argument("--execute", type=int, default=8)
    parser.add_argument("--delays", nargs="*", default=["0", "2", "4", "8"], help="control steps, or measured")
    parser.add_argument("--device", default=report.MACHINE)
    options = parser.parse_args()
    rows = []
    for delay in options.delays:
        for rtc in (False, True):
            asked = {"episodes": options.episodes, "execute": options.execute, "delay": delay, "rtc": rtc}
            row = evaluated(options.run, asked)
            policy = row.policy
            assert policy
            rows.append({**asked, "steps_late": policy.delay, **{name: getattr(policy, name) for name in ROW}})
            report.show(rows[-1])
    run = read_run(options.run)
    told = ("task.name", "model.name", "size.name", "tower.name", "horizon.steps", "control.control_hz", "train.steps")
    settings = {name: run.config.get(name) for name in told}
    what = "success rates with chunks that come late, without and with real-time chunking; same scenes, same noise"
    found = {"what": what, "run": run.name, "settings": settings, "rows": rows}
    report.write("delay", options.device, found, ("jax", "mani-skill", "numpy"))


if __name__ == "__main__":
    main()
