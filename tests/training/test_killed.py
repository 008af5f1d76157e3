"""A real `pirig train` process, killed with -9 at a random step and resumed, ends as the one that nobody stopped."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.runs.progress import newest_checkpoint
from pirig.training.metrics import read_rows
from tests.datasets.episodes import write_dataset

STEPS = 24
NOT_REAL = "gates.skip=[episodes,actions,gripper,gripper_state,images,image_size,first_frame,demo_replay]"  # noise
WORDS = [
    "camera=close", "camera.resolution_px=16", "size.image_px=16", "horizon.steps=4", "eval.execute=4", NOT_REAL,
    "train.batch_size=4", f"train.steps={STEPS}", "train.save_every=4", "train.log_every=1", "train.warmup_steps=2",
    "train.validation_share=0.25", "train.validate_every=7",
]  # fmt: skip


@pytest.fixture
def start(tmp_path):
    """start(name, *words): a `pirig train` process on a small data set; all share compiled programs."""
    config = compose([*WORDS, f"run.root={tmp_path}"])
    places = places_of(config)
    write_dataset(places.data_set, places.contract, range(6))
    begun = []

    def begin(name, *more):
        command = [sys.executable, "-m", "pirig", "train", *WORDS, f"run.root={tmp_path}", f"run.name={name}", *more]
        cache = {
            "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.5",
        }
        quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        begun.append(subprocess.Popen(command, env={**os.environ, **cache}, **quiet))
        return begun[-1], tmp_path / "default" / name

    yield begin
    for process in begun:
        process.kill()


def finish(process):
    out, error = process.communicate(timeout=1800)
    assert process.returncode == 0, error[-4000:]
    return out + error


def kill_at(process, folder, step):
    """Kills as soon as the metrics show `step`; returns the last step that they show then."""
    while not (rows := read_rows(folder / "metrics.jsonl")) or rows[-1]["step"] < step:
        assert process.poll() is None, process.stderr.read()[-4000:]
        time.sleep(0.005)
    process.kill()
    process.communicate(timeout=60)
    return read_rows(folder / "metrics.jsonl")[-1]["step"]


def arrays(checkpoint: Path) -> dict[str, np.ndarray]:
    """Every array of a checkpoint: weights, optimizer, step, key."""
    found = {}
    for item in ("params", "train_state"):
        with ocp.PyTreeCheckpointer() as checkpointer:
            tree = checkpointer.restore((checkpoint / item).absolute())
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            found[item + jax.tree_util.keystr(path)] = np.asarray(leaf)
    return found


@pytest.mark.slow
def test_kill_9_and_resume_equals_straight_bit_for_bit(start):
    process, straight = start("straight")
    finish(process)
    step = random.randint(5, STEPS - 2)
    process, parts = start("parts")
    killed_at = kill_at(process, parts, step)
    assert newest_checkpoint(parts) is None or int(newest_checkpoint(parts).name) < STEPS, (
        f"killed too late, at {killed_at}"
    )
    process, _ = start("parts", "run.mode=resume")
    assert "resumed from" in finish(process)
    one, other = arrays(newest_checkpoint(straight)), arrays(newest_checkpoint(parts))
    assert set(one) == set(other) and len(one) > 100, f"killed at {killed_at}"
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=f"{name}, killed at {killed_at}")
    losses = [[(row["step"], row["loss"]) for row in read_rows(run / "metrics.jsonl")] for run in (straight, parts)]
    assert losses[0] == losses[1] and len(losses[0]) == STEPS
    shared = [[row.get("validation_loss") for row in read_rows(run / "metrics.jsonl")] for run in (straight, parts)]
    assert shared[0] == shared[1] and sum(value is not None for value in shared[0]) == 4
