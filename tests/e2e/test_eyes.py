"""experiment=eyes end to end with real simulation: spread demos, labelled scenes, warm-up, training on labels, evaluation."""

import json
import subprocess
import sys

import numpy as np
import pytest

from pirig.config.load import compose
from pirig.datasets.lerobot.read import Dataset
from pirig.models.layout import flatten
from pirig.training.checkpoints import load_params
from pirig.training.warmed import load

FEW = [
    "experiment=eyes", "task=pick_cube", "size.image_px=64", "camera.resolution_px=64", "demos.count=2", "scenes.count=40",
    "tower.warm_up.steps=6", "tower.warm_up.batch_size=4", "train.steps=20", "train.batch_size=4", "train.save_every=10",
    "train.keep_every=10", "train.scenes_per_batch=2",
    "train.validation_share=0.5", "train.validate_every=10", "train.validation_frames=16", "schedule.warmup_steps=2",
    "eval.episodes=1", "eval.oracle_episodes=2", "eval.untrained_episodes=1", "eval.videos=0", "eval.max_steps=100",
    "gates.replay_episodes=2", "gates.skip=[statistics]",
]  # fmt: skip


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    root = tmp_path_factory.mktemp("outputs")
    command = [sys.executable, "-m", "pirig", "pipeline", *FEW, f"run.root={root}", "run.name=few"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return root, done


def test_every_stage_ran_and_the_oracle_succeeds(ran):
    root, done = ran
    summary = json.loads((root / "eyes" / "few" / "summary.json").read_text())
    assert summary["eval"]["oracle"]["k"] == 2
    assert "cube off by" in done.stdout and "scenes and warm-up" in done.stdout
    (data_set,) = root.glob("data/*/lerobot")
    dataset = Dataset(data_set)
    assert all(dataset.starts) and "cube_position_m" in dataset.labels and "-spread0.1-" in data_set.parent.name


def test_the_training_starts_from_the_warm_tower_and_measures_in_millimetres(ran):
    root, _ = ran
    rows = [json.loads(line) for line in (root / "eyes" / "few" / "metrics.jsonl").read_text().splitlines()]
    assert {"loss", "total_loss", "labels_loss", "labels_scenes_loss"} <= set(rows[-1])
    assert rows[-1]["validation_labels_cube_position_mm"] > 0
    (folder,) = root.glob("data/tower-keypoints-*")
    warmed = load(folder)
    trained = flatten(load_params(root / "eyes" / "few" / "checkpoints" / "20"))
    name = "stem/kernel"
    apart = np.abs(trained[f"tower/keypoints/{name}"] - flatten(warmed.tower)[name]).max()
    assert 0 < apart < 0.05
    assert compose(FEW).tower.warm_up.steps == 6


def test_several_checkpoints_are_measured_on_scenes_of_their_own(ran):
    root, _ = ran
    run = root / "eyes" / "few"
    before = sorted(path.name for path in (run / "eval").iterdir())
    words = ["eval", str(run), "run.checkpoint=all", "eval.episodes=1", "eval.max_steps=100"]
    done = subprocess.run([sys.executable, "-m", "pirig", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "step 10" in done.stdout and "best on these scenes: step 20" in done.stdout
    curve = json.loads((run / "choice" / "curve.json").read_text())
    assert {step: row["first_seed"] for step, row in curve.items()} == {"10": 900_000, "20": 900_000}
    assert sorted(path.name for path in (run / "eval").iterdir()) == before
