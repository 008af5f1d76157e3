"""The real training on two nodes of a real SLURM, one task each: the numbers of one process, and an exact continuation."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.sweeps.test_slurm import wait_for
from tests.sweeps.test_slurm_training import newest_params

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("cluster")]

STEPS, CUT_AT, PATIENCE_S = 24, 8, 400
SLURM = ["hydra/launcher=slurm", "hydra.launcher.partition=wide", "hydra.launcher.gpus_per_node=2",
         "hydra.launcher.train.cpus=1", "hydra.launcher.train.memory_gb=1", "hydra.launcher.poll_s=0.5"]  # fmt: skip


def pirig(*words):
    """With two virtual CPU devices for each process."""
    virtual = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-m", "pirig", *words],
        env={**os.environ, **virtual, "COLUMNS": "250"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def rows(run):
    path = run / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def test_two_nodes_equal_one_process_and_go_on_after_a_requeue(smoke_run):
    runs = {name: smoke_run.folder.parent / name for name in ("alone", "two_nodes", "cut")}
    train = ["train", "experiment=smoke", f"run.root={smoke_run.root}", f"train.steps={STEPS}", "train.save_every=4"]
    wide = [*train, "-m", "fsdp=4", "fsdp.min_mib=0.01", *SLURM]
    assert "2x2gpu" in pirig(*wide, "run.name=two_nodes", "sweep.dry_run=true")
    pirig(*train, "run.name=alone")
    pirig(*wide, "run.name=two_nodes")
    losses = {name: [row["loss"] for row in rows(runs[name])] for name in ("alone", "two_nodes")}
    assert len(losses["alone"]) == STEPS
    np.testing.assert_allclose(losses["two_nodes"], losses["alone"], atol=1e-5, rtol=0)

    pirig(*wide, "run.name=cut", "sweep.wait=false")
    job = json.loads((runs["cut"] / "jobs.json").read_text())["stages"]["train"][-1]
    end = time.monotonic() + PATIENCE_S
    while len(rows(runs["cut"])) < CUT_AT:
        assert time.monotonic() < end
        time.sleep(0.05)
    subprocess.run(["scontrol", "requeue", job["job"]], check=True)
    wait_for(job["job"], "COMPLETED", seconds=PATIENCE_S)
    whole, cut = rows(runs["two_nodes"]), rows(runs["cut"])
    assert [row["loss"] for row in cut] == [row["loss"] for row in whole]
    shown = subprocess.run(["scontrol", "show", "job", job["job"]], capture_output=True, text=True, check=True).stdout
    assert "Restarts=1" in shown and "NumNodes=2" in shown
    expected, found = (newest_params(runs[name], STEPS) for name in ("two_nodes", "cut"))
    assert all(np.array_equal(found[leaf], expected[leaf]) for leaf in expected)
