"""Two tasks in one training, in the real simulator: data for each as for it alone, one policy, a success rate each."""

import json
import subprocess
import sys

import pytest

from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.policies.card import PolicyCard
from pirig.runs.progress import newest_checkpoint

WORDS = (
    "experiment=smoke run.name=mix demos.count=2 train.steps=4 train.save_every=4 eval.episodes=1 eval.oracle_episodes=1 "
    "eval.untrained_episodes=1 eval.videos=0"
).split()


def _pirig(*words):
    done = subprocess.run([sys.executable, "-m", "pirig", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.slow
def test_a_mix_goes_from_demos_to_a_rate_for_each_task(tmp_path):
    words = [*WORDS, f"run.root={tmp_path}"]
    screen = _pirig("pipeline", "mix=push_pull", *words)
    assert "pull_cube" in screen
    places = places_of(compose(["mix=push_pull", *words]))
    summary = json.loads(places.summary.read_text())
    tasks = summary["eval"]["tasks"]
    assert set(tasks) == {"push_cube", "pull_cube"}
    for rows in tasks.values():
        assert rows["oracle"]["k"] == rows["oracle"]["n"] == 1 and rows["policy"]["n"] == 1
    assert summary["eval"]["oracle"]["n"] == 2 and summary["eval"]["oracle"]["k"] == 2
    assert tasks["push_cube"]["policy"]["max_steps"] != tasks["pull_cube"]["policy"]["max_steps"]
    card = PolicyCard.load(newest_checkpoint(places.run))
    assert card.demo_tasks == ("push_cube",) * 2 + ("pull_cube",) * 2
    gates = json.loads((places.run / "gates.json").read_text())["found"]
    assert gates["demo_replay"] == gates["statistics"] == []
    alone = _pirig("demos", "task=pull_cube", *words)  # the mix's own demos, found complete
    assert str(places.sources["pull_cube"].demos) in alone
