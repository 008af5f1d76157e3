"""`pirig improve` on a run of the whole chain, in the real simulator: a round of corrections, killed and gone on with."""

import json
import signal
import subprocess
import sys
import time

import pytest

from pirig.config.load import of_run
from pirig.config.places import places_of
from pirig.datasets.lerobot.read import Dataset
from pirig.runs.progress import newest_checkpoint

WORDS = [
    "improve=corrections", "improve.scenes=3", "improve.steps=6", "improve.corrections.timed_demos=3", "gates.replay_episodes=2",
    "train.save_every=2",
]  # fmt: skip


def pirig(*words):
    done = subprocess.run([sys.executable, "-m", "pirig", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.slow
def test_a_round_of_corrections_is_killed_and_comes_to_its_end(smoke_run):
    run = smoke_run.folder
    before = {file: file.stat().st_mtime_ns for file in places_of(of_run(run, [])).data.rglob("*") if file.is_file()}
    command = [sys.executable, "-m", "pirig", "improve", str(run), *WORDS]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in process.stdout:
        if "corrected trains" in line:
            break
    while not list(run.parent.glob("one-corrections-*-r1/checkpoints/[0-9]")) and process.poll() is None:
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    screen = pirig("improve", str(run), *WORDS)
    (file,) = run.glob("improve/corrections-*/results.json")
    result = json.loads(file.read_text())
    (told,) = result["rounds"]
    assert told["rolled_out"] == 3 and told["corrections"] >= 1 and set(told["rates"]) == {"corrected", "control"}
    assert f"results      {file}" in screen and "round 1      corrected" in screen
    child = of_run(run.parent / told["runs"]["corrected"].rpartition("/")[2], [])
    places = places_of(child)
    dataset, parent = Dataset(places.data_set), Dataset(places_of(of_run(run, [])).data_set)
    assert dataset.episode_count == parent.episode_count + told["corrections"] and all(
        dataset.starts[parent.episode_count :]
    )
    gates = json.loads((places.run / "gates.json").read_text())["found"]
    assert not any(gates.values()) and "demo_replay" in gates
    stats = [newest_checkpoint(one) / "assets/pirig/norm_stats.json" for one in (run, places.run)]
    assert json.loads(stats[0].read_text()) == json.loads(stats[1].read_text())
    after = {file: file.stat().st_mtime_ns for file in before}
    touched = {file for file, stamp in before.items() if after[file] != stamp and ".lock" not in file.name}
    assert {file.name for file in touched} <= {".digests.json"}  # what it remembers of digests
    compared = pirig("compare", str(run.parent), "--json")
    for child in ("corrections, corrected", "control"):  # the control is every method's
        assert f'"smoke/one at step 10, round 1 of {child}"' in compared
    assert "is trained already" in pirig("improve", str(run), *WORDS)


def test_a_run_that_is_not_trained_to_its_end_and_no_run_are_said(smoke_run, tmp_path):
    words = ["improve", str(smoke_run.folder), "train.steps=20"]
    done = subprocess.run([sys.executable, "-m", "pirig", *words], capture_output=True, text=True)
    assert done.returncode == 1 and "trained 10 of 20 steps, and only a trained policy is improved" in done.stderr
    assert "RUN" in pirig("improve", "--help")
