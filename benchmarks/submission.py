"""Seconds from the command to a submitted sweep of no-op jobs: ours, and hydra-submitit-launcher on the same config.

    python -m benchmarks.submission THEIRS [--points 200] [--repeats 3] [--device NAME]

THEIRS is a folder that holds hydra-submitit-launcher (`pip install --no-deps --target THEIRS hydra-submitit-launcher`).
Needs a SLURM (`launchers/one_node_slurm.sh start`). Both go through the same command line and compose the same points;
the clock stops when squeue shows every point. Ours checks every point, copies the code and records each job besides.
The jobs are cancelled at once. Writes benchmarks/results/submission-<device>-<date>.json.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import report
from tests.sweeps.project import SMALL, Project

OURS = ["hydra/launcher=slurm", *SMALL, "hydra.launcher.parallel=1", "sweep.wait=false"]
THEIRS = ["hydra/launcher=submitit_slurm", "hydra/sweeper=basic", "hydra.launcher.mem_gb=1",
          "hydra.launcher.timeout_min=10", "hydra.launcher.array_parallelism=1"]  # fmt: skip


def queued() -> int:
    asked = ["squeue", "--noheader", "--array", "--format=%i"]
    return len(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split())


def measure(project: Project, words: list[str], points: int, experiment: str, theirs: Path | None = None) -> float:
    """Wall seconds until all points are queued; for a dry run (nothing is queued) until the command ends."""
    path = [str(project.folder / "src"), *([str(theirs)] if theirs else [])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    command = [
        sys.executable,
        "-m",
        "pirig",
        "train",
        "-m",
        f"train.seed=range({points})",
        f"run.experiment={experiment}",
    ]
    dry = "sweep.dry_run=true" in words
    log = project.folder / f"{experiment}.log"
    started_s = time.monotonic()
    with open(log, "w") as file:
        process = subprocess.Popen([*command, *words], env=environment, cwd=project.folder, stdout=file, stderr=file)
        while (dry and process.poll() is None) or (not dry and queued() < points):
            if not dry and process.poll() not in (None, 0):
                raise RuntimeError(log.read_text()[-2000:])
            time.sleep(0.05)
        seconds = time.monotonic() - started_s
        if theirs is None and process.wait():
            raise RuntimeError(log.read_text()[-2000:])
    process.kill()  # theirs waits for its jobs
    process.wait()
    subprocess.run(["scancel", "--user", os.environ.get("USER", "root")], check=True)
    while queued():
        time.sleep(0.2)
    return round(seconds, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("theirs", type=Path)
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default=report.MACHINE)
    given = parser.parse_args()
    if queued():
        raise SystemExit(
            "squeue is not empty: this benchmark cancels every job of this user, so it wants an empty queue"
        )
    seconds: dict[str, list[float]] = {"ours, dry run": [], "ours": [], "hydra-submitit-launcher": []}
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        for turn in range(given.repeats):
            dry = [*OURS, "sweep.dry_run=true"]
            seconds["ours, dry run"].append(measure(project, dry, given.points, f"dry{turn}"))
            seconds["ours"].append(measure(project, OURS, given.points, f"ours{turn}"))
            took = measure(project, THEIRS, given.points, f"theirs{turn}", given.theirs.resolve())
            seconds["hydra-submitit-launcher"].append(took)
            print({name: values[-1] for name, values in seconds.items()}, flush=True)
    found = next(given.theirs.glob("hydra_submitit_launcher-*.dist-info"))
    theirs = {"hydra-submitit-launcher": found.name.split("-")[1].removesuffix(".dist")}
    result = {"what": "seconds to submit so many points that do nothing", "points": given.points, "seconds": seconds}
    report.write("submission", given.device, result, ("hydra-core", "submitit"), **theirs)


if __name__ == "__main__":
    main()
