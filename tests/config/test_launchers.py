"""What the launchers' scripts start is a config that passes every check: they run for hours, and nobody types them here."""

import os
import subprocess
from pathlib import Path

import pytest

from pirig.config.load import compose

FOLDER = Path(__file__).parents[2] / "launchers"
WORDS = {  # of the ablation: what its first lines name
    "eyes_ablation": ["stack_cube", "camera=close_wrist", "train.steps=1500", "train.scenes_per_batch=8", "train.idle_steps=1"],
    "keypoints_or_patches": ["push_cube", "pick_cube"],
    "lora_or_full": [],
    "six_tasks": [],
    "stack_cube_ablation": [],
}  # fmt: skip
NEITHER = "no_warm_up_no_label_loss"  # either may do what the other does
ARMS = {"whole", "no_warm_up", "no_label_loss", NEITHER, "patches_for_keypoints", "usual_starts", "no_state_noise"}


def started_by(name, tmp_path):
    """The words of each call of pirig that a launcher makes; of a sweep the first values."""
    stub, said = tmp_path / "pirig", tmp_path / "said"
    stub.write_text(f'#!/usr/bin/env bash\nprintf "%s\\0" "$@" >> {said}\nprintf "\\0" >> {said}\n')
    stub.chmod(0o755)
    subprocess.run(["bash", FOLDER / f"{name}.sh", *WORDS[name]], check=True, env={**os.environ, "PIRIG": str(stub)})
    calls = [call.split("\0") for call in said.read_text().removesuffix("\0\0").split("\0\0")]
    for verb, *words in calls:
        assert verb == "pipeline"
        own = [word for word in words if word != "-m" and not word.startswith(("hydra", "sweep."))]
        yield [word.partition(",")[0] for word in own] if "-m" in words else own


@pytest.mark.parametrize("name", WORDS)
def test_what_a_launcher_starts_is_a_config(name, tmp_path):
    assert all(compose(words).run.experiment == name for words in started_by(name, tmp_path))


def test_an_arm_of_the_ablation_leaves_out_what_its_name_says(tmp_path):
    found = {
        config.run.name.removeprefix("stack_cube-"): config
        for config in map(compose, started_by("eyes_ablation", tmp_path))
    }
    assert set(found) == ARMS
    whole = found["whole"]
    assert (whole.tower.name, whole.tower.warm_up.steps, list(whole.losses)) == ("keypoints", 3000, ["labels"])
    assert whole.demos.start_spread_rad > 0 and whole.train.scenes_per_batch == 8
    assert found["no_warm_up"].tower.warm_up.steps == 0 and found["usual_starts"].demos.start_spread_rad == 0
    assert whole.train.state_noise > 0 and found["no_state_noise"].train.state_noise == 0
    assert not found["no_label_loss"].losses and found["no_label_loss"].tower.warm_up.steps == 3000
    assert not found[NEITHER].losses and found[NEITHER].tower.warm_up.steps == 0
    patches = found["patches_for_keypoints"].tower
    assert patches.name == "siglip" and patches.warm_up.steps == 3000
    told = [(tower.warm_up.turns, tower.warm_up.unseen, tower.warm_up.alike) for tower in (patches, whole.tower)]
    assert told[0] == told[1]
    for config in found.values():
        assert (config.train.steps, config.train.idle_steps, config.camera.name) == (1500, 1, "close_wrist")


def test_the_arms_of_a_tower_s_comparison_differ_in_the_tower_or_the_state_s_noise_alone(tmp_path):
    found = {config.run.name: config for config in map(compose, started_by("keypoints_or_patches", tmp_path))}
    assert set(found) == {
        f"{task}-{arm}" for task in ("push_cube", "pick_cube") for arm in ("keypoints", "patches", "no_state_noise")
    }
    for name, config in found.items():
        task, arm = name.split("-")
        whole = found[f"{task}-keypoints"]
        assert (config.task.name, config.eval.episodes) == (task, 100)
        assert config.tower.name == ("siglip" if arm == "patches" else "keypoints")
        assert config.tower.warm_up == whole.tower.warm_up and config.losses == whole.losses
        assert (config.train.state_noise == 0) == (arm == "no_state_noise")
        assert (config.train.steps, config.demos) == (whole.train.steps, whole.demos)
