"""The record of a sweep that an older version made (8868f2d): its points keep their folders and are done.

The record holds the small files by which a folder is known and found to be done; it was made with OLD_SWEEP.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pirig.config.load import of_run
from pirig.config.places import places_of
from pirig.runs.identity import run_id
from pirig.runs.record import open_run

RECORD = Path(__file__).parent / "old_sweep" / "outputs"
OLD_SWEEP = (
    "experiment=smoke run.experiment=old_sweep train.seed=0,1 horizon=8,16 train.steps=2 train.save_every=2 train.peak_lr=1e-3 "
    "train.decay_steps=50 eval.episodes=1 eval.oracle_episodes=1 eval.untrained_episodes=1 eval.videos=0"
).split()
RUNS = sorted(path.name for path in (RECORD / "old_sweep").iterdir())


@pytest.fixture
def outputs(tmp_path, monkeypatch):
    shutil.copytree(RECORD, tmp_path / "outputs")
    monkeypatch.chdir(tmp_path)
    return Path("outputs")


def _pirig(*words: str) -> str:
    done = subprocess.run([sys.executable, "-m", "pirig", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("verb", ["pipeline", "demos", "convert", "stats", "train", "eval"])
def test_the_same_sweep_again_finds_every_point_done(outputs, verb):
    screen = _pirig(verb, "-m", *OLD_SWEEP, "sweep.dry_run=true")
    assert "points: 4 (4 done); jobs to run: none" in screen


def test_another_rate_is_another_point(outputs):
    other = [word.replace("1e-3", "2e-3") for word in OLD_SWEEP]
    assert "points: 4 (4 start)" in _pirig("train", "-m", *other, "sweep.dry_run=true")


def test_the_runs_are_listed(outputs):
    assert "4 runs: 4 done" in _pirig("runs", "outputs/old_sweep")


@pytest.mark.parametrize("name", RUNS)
def test_a_run_of_it_loads_with_its_id_and_may_be_resumed(outputs, name):
    folder = outputs / "old_sweep" / name
    config = of_run(folder, ["run.mode=resume"])
    assert name.endswith(run_id(config))
    assert open_run(config, places_of(config)) == folder
