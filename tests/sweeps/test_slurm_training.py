"""The training loop on a real SLURM, cut off in four ways, ends in the same weights as training that was left alone."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from pirig.runs.lock import owner_of
from tests.sweeps.project import Project
from tests.sweeps.test_slurm import wait_for

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("cluster")]

STEPS, CUT_AT = 300, 75
PATIENCE_S = 300  # two idle cores need about 30
SETTINGS = (f"train.steps={STEPS}", "train.batch_size=5", "train.save_every=50", "train.log_every=1",
            "train.peak_lr=1e-2", "train.warmup_steps=2", "train.shift_px=1")  # fmt: skip


def logged_step(run: Path) -> int:
    path = run / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    return len(lines)


def newest_params(run: Path, step: int = STEPS) -> dict[str, np.ndarray]:
    import jax

    from pirig.training.checkpoints import load_params

    leaves = jax.tree_util.tree_leaves_with_path(load_params(run / "checkpoints" / str(step)))
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def test_a_cut_training_ends_in_the_identical_result(tmp_path):
    project = Project(tmp_path, "stand_ins_small")
    names = ("whole", "requeued", "warned", "killed")
    words = (f"run.root={project.root}", f"run.name={','.join(names)}", *SETTINGS, "sweep.wait=false")
    project.sweep("train", "cut", *words, "hydra.launcher.train.memory_gb=1")
    cut_and_compare(project, names)
    preempt_and_compare(project)


def preempt_and_compare(project: Project) -> None:
    """A job of `main` takes the GPUs of one of `low`, which goes on when they are free again."""
    words = (f"run.root={project.root}", "run.name=preempted", *SETTINGS, "sweep.wait=false")
    project.sweep("train", "cut", *words, "hydra.launcher.train.gpus=8", "hydra.launcher.partition=low")
    run = project.root / "cut" / "preempted"
    job = project.jobs("cut")[run]["job"]
    end = time.monotonic() + PATIENCE_S
    while logged_step(run) < CUT_AT:
        assert time.monotonic() < end, logged_step(run)
        time.sleep(0.05)
    urgent = ["sbatch", "--partition=main", "--gpus=8", "--mem=64M", "--output=/dev/null", "--wrap=sleep 2"]
    subprocess.run(urgent, check=True, capture_output=True)
    wait_for(job, "COMPLETED", seconds=PATIENCE_S)
    assert restart_count(job) == 1
    require_identical(run, project.root / "cut" / "whole")


def require_identical(run: Path, whole: Path) -> None:
    """Every loss and every parameter, bit for bit."""
    losses = []
    for folder in (run, whole):
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        losses.append([(row["step"], row["loss"]) for row in rows])
    assert losses[0] == losses[1] and len(losses[0]) == STEPS, run
    params, expected = newest_params(run), newest_params(whole)
    assert params.keys() == expected.keys()
    assert all(np.array_equal(params[leaf], expected[leaf]) for leaf in expected), run


def cut_and_compare(project: Project, names: tuple[str, ...]) -> None:
    runs = {name: project.root / "cut" / name for name in names}
    jobs = {run.name: entry["job"] for run, entry in project.jobs("cut").items()}
    cuts = {
        "requeued": lambda: subprocess.run(
            ["scontrol", "requeue", jobs["requeued"]], check=True
        ),  # SIGTERM, then the queue
        "warned": lambda: subprocess.run(
            ["scancel", "--signal=USR2", jobs["warned"]], check=True
        ),  # the time limit is near
        "killed": lambda: os.kill(owner_of(runs["killed"]).pid, signal.SIGKILL),  # no word before, as when a node dies
    }
    at: dict[str, int] = {}
    end = time.monotonic() + PATIENCE_S
    while len(at) < len(cuts):
        assert time.monotonic() < end, f"{at} {[(name, logged_step(run)) for name, run in runs.items()]}"
        for name, cut in cuts.items():
            if name not in at and logged_step(runs[name]) >= CUT_AT:
                at[name] = logged_step(runs[name])
                cut()
        time.sleep(0.05)
    assert max(at.values()) < STEPS
    wait_for(jobs["killed"], "FAILED", seconds=PATIENCE_S)
    screen = project.pirig("runs", "retry", str(runs["killed"]))
    assert "points: 1 (1 resume" in screen
    jobs["killed"] = project.jobs("cut")[runs["killed"]]["job"]
    for job in jobs.values():
        wait_for(job, "COMPLETED", seconds=PATIENCE_S)

    for name in cuts:
        require_identical(runs[name], runs["whole"])
    for name in cuts:
        logs = "".join(Path(entry["log"]).read_text() for entry in
                       json.loads((runs[name] / "jobs.json").read_text())["stages"]["train"])  # fmt: skip
        assert "resumed from" in logs, name
    restarts = {name: restart_count(jobs[name]) for name in names}
    assert restarts == {"whole": 0, "requeued": 1, "warned": 1, "killed": 0}


def restart_count(job: str) -> int:
    shown = subprocess.run(["scontrol", "show", "job", job], capture_output=True, text=True, check=True).stdout
    return int(shown.split("Restarts=")[1].split()[0])
