"""`pirig improve improve=calql`, killed with -9 in each of its long parts and gone on with by the same command, ends as one that
nobody stopped."""

import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pirig.datasets.lerobot.read import Dataset

WORDS = [
    "improve=calql", "improve.scenes=4", "improve.steps=6", "improve.critic.steps=1200", "improve.critic.save_every=100",
    "improve.critic.samples=2", "improve.critic.candidates=2", "improve.critic.widths=[64,64]", "improve.critic.unskilled=true",
    "improve.best_of.samples=2", "eval.max_steps=74", "eval.episodes=2", "eval.workers=1",
]  # fmt: skip
PARTS = {  # of a run, what is there first in each part that is killed
    "roll-outs": "rollouts/*/results/episodes.jsonl",
    "foreseen": "rollouts/*/foreseen-*/*.npz",
    "critic": "improve/critic-*/state.npz",
}


def command(run: Path) -> list[str]:
    return [sys.executable, "-m", "pirig", "improve", str(run), *WORDS]


def finished(run: Path) -> str:
    done = subprocess.run(command(run), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def killed(run: Path, part: str) -> str:
    """At a random moment of the part; says when."""
    log = run.parent / f"killed-{part}.txt"
    with log.open("w") as opened:
        process = subprocess.Popen(command(run), stdout=opened, stderr=subprocess.STDOUT)
    while not list(run.glob(PARTS[part])):
        assert process.poll() is None, f"ended before {part}: {log.read_text()[-4000:]}"
        time.sleep(0.01)
    later_s = random.uniform(0, 1.5)
    time.sleep(later_s)
    process.kill()
    process.wait()
    return f"{part} after {later_s:.2f} s"


def arrays(file: Path) -> dict[str, np.ndarray]:
    with np.load(file) as opened:
        return {name: opened[name] for name in opened.files}


def made(run: Path) -> dict[str, np.ndarray]:
    """Every array of what was foreseen and of the critic, by file; the data set of roll-outs by its digest."""
    (data_set,), (critic,) = run.glob("rollouts/*/lerobot"), run.glob("improve/critic-*")
    files = [*run.parent.parent.glob("data/*/foreseen-*/*.npz"), *run.glob("rollouts/*/foreseen-*/*.npz")]
    named = {f"{file.parent.name}/{file.name}": file for file in [*files, critic / "state.npz", critic / "critic.npz"]}
    kept = {f"{name} {key}": value for name, file in named.items() for key, value in arrays(file).items()}
    digest = np.frombuffer(Dataset(data_set).content_hash.encode(), np.uint8)
    return kept | {"rows": digest, "metrics": np.frombuffer((critic / "metrics.jsonl").read_bytes(), np.uint8)}


def told(run: Path) -> dict:
    """What results.json says, but for folders and minutes."""
    (file,) = run.glob("improve/calql-*/results.json")
    (round_,) = json.loads(file.read_text())["rounds"]
    facts = {
        key: round_[key] for key in ("rolled_out", "succeeded", "environment_steps", "rows", "calibration", "fisher")
    }
    return facts | {arm: rate["k"] for arm, rate in round_["rates"].items()}


@pytest.mark.slow
def test_killed_three_times_it_ends_as_the_one_that_nobody_stopped(smoke_run, tmp_path):
    runs = {}
    for name in ("alone", "killed"):
        root = shutil.copytree(smoke_run.root, tmp_path / name, symlinks=True)
        runs[name] = root / "smoke" / smoke_run.folder.name
    finished(runs["alone"])
    moments = [killed(runs["killed"], part) for part in PARTS]
    finished(runs["killed"])
    straight, parts = made(runs["alone"]), made(runs["killed"])
    assert set(straight) == set(parts) and len(straight) > 30, moments
    for name, array in straight.items():
        np.testing.assert_array_equal(array, parts[name], err_msg=f"{name}, killed: {moments}")
    assert told(runs["alone"]) == told(runs["killed"]), moments
    assert "critic: has learned already" in finished(runs["killed"])
