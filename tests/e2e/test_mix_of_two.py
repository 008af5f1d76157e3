"""Two tasks in one training, in the real simulator: data for each as for it alone, one policy, a success rate each."""

import json
import shutil
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


def _each_verb_asks_both_tasks(run):
    doctor = _pirig("doctor", str(run))
    assert "WRONG" not in doctor and doctor.count("data set ") == 2 and "ok    acts" in doctor
    verified = _pirig("verify", str(run))
    assert verified.index("task        push_cube") < verified.index("task        pull_cube")
    words = ["train.validation_frames=8", "gates.replay_episodes=1"]
    assert "task pull_cube" in _pirig("diagnose", str(run), "task=pull_cube", *words)
    evidence = json.loads((run / "diagnosis/pull_cube/diagnosis.json").read_text())["evidence"]
    assert evidence["outcome"]["n"] == 1 and len(evidence["demo_lengths"]) == 2
    assert not any("could not be measured" in note for note in evidence["notes"])
    assert evidence["parity"][0]["model_state"] == evidence["parity"][0]["tokens"] == 0
    assert not (run / "diagnosis/push_cube").exists()


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
    _each_verb_asks_both_tasks(places.run)
    alone = _pirig("demos", "task=pull_cube", *words)  # the mix's own demos, found complete
    assert str(places.sources["pull_cube"].demos) in alone


@pytest.mark.slow
def test_a_mix_with_statistics_per_source_serves_each_task_by_its_own(tmp_path):
    words = [*WORDS, "mix.norm_stats=per_source", "train.validation_share=0.25", f"run.root={tmp_path}"]
    words += ["train.save_every=2", "train.keep_every=2"]
    _pirig("pipeline", "mix=push_pull", *words)
    places = places_of(compose(["mix=push_pull", *words]))
    checkpoint = newest_checkpoint(places.run)
    assert not places.norm_stats.exists() and not list(checkpoint.rglob("norm_stats.json"))
    assert PolicyCard.load(checkpoint).norm_stats == "per_source"
    tasks = json.loads(places.summary.read_text())["eval"]["tasks"]
    assert all(rows["oracle"]["k"] == rows["oracle"]["n"] == 1 for rows in tasks.values())
    assert json.loads((places.run / "gates.json").read_text())["found"]["statistics"] == []
    _each_verb_asks_both_tasks(places.run)
    shutil.rmtree(checkpoint)
    resumed = _pirig("train", "mix=push_pull", *words, "run.mode=resume")
    assert newest_checkpoint(places.run) == checkpoint and "trained 4 steps" in resumed
