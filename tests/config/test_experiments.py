"""Every preset composes, passes the checks, and says where it comes from."""

from pathlib import Path

import pirig.conf.experiment
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.policies.build import model_of
from pirig.training.schedules import make_schedule
from tests.datasets.kinova_recordings import write_recording

FOLDER = Path(pirig.conf.experiment.__file__).parent
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
LAB_TASKS = ("pick_cube", "push_cube", "pull_cube", "place_sphere", "peg_insertion_side")


@pytest.mark.parametrize("name", NAMES)
def test_it_composes_and_passes_every_check(name, tmp_path):
    asks_a_path = name.startswith("kinova_") or name == "libero_recorded"
    recorded = [f"demos.path={write_recording(tmp_path / 'mugs')}"] if asks_a_path else []
    config = compose([f"experiment={name}", *recorded])
    make_schedule(config.schedule, config.train.steps)
    assert config.run.experiment == name
    assert model_of(config, 512).action_horizon == config.horizon.steps


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(("lab_", "kinova_"))])
def test_a_labs_preset_says_source_hardware_time_and_result(name):
    header = [line for line in (FOLDER / f"{name}.yaml").read_text().splitlines() if line.startswith("#")]
    for word in ("Source:", "Hardware:", "Time:", "Expected:"):
        assert sum(line.startswith(f"# {word}") for line in header) == 1, word


@pytest.mark.parametrize("task", LAB_TASKS)
def test_the_labs_five_tasks_go_with_its_presets(task):
    config = compose(["experiment=lab_pi05_wrist", f"task={task}"])
    assert (config.task.name, config.horizon.steps, config.fsdp.devices) == (task, 20, 8)
    assert (config.train.batch_size, config.train.steps, contract_of(config).robot_uid) == (
        128,
        30000,
        "panda_wristcam",
    )


def test_lora_in_the_vlm_alone():
    model = model_of(compose(["experiment=lab_pi0_lora"]), 512)
    assert model.vlm.lora is not None and model.expert.lora is None
    both = model_of(compose(["experiment=lab_pi0_lora", "finetune=lora"]), 512)
    assert both.vlm.lora is not None and both.expert.lora is not None


def test_what_an_experiment_says_of_the_run_counts(tmp_path):
    """Its name too, and the command line goes before it."""
    (tmp_path / "experiment").mkdir()
    text = "# @package _global_\nrun: {name: my_recipe, experiment: mine, root: elsewhere}\n"
    (tmp_path / "experiment" / "named.yaml").write_text(text)
    words = [f"hydra.searchpath=[file://{tmp_path}]", "experiment=named"]
    run = compose(words).run
    assert (run.name, run.experiment, run.root) == ("my_recipe", "mine", "elsewhere")
    assert compose([*words, "run.name=other"]).run.name == "other"


@pytest.mark.parametrize(
    ("words", "tower"),
    [
        ([], "keypoints"),
        (["size=small"], "keypoints"),
        (["size=full"], "siglip"),
        (["tower=siglip"], "siglip"),
        (["size=full", "tower=keypoints"], "keypoints"),
        (["experiment=quickstart"], "siglip"),
        (["experiment=quickstart", "size=small"], "siglip"),
        (["experiment=quickstart_eyes"], "keypoints"),
    ],
)
def test_a_size_chooses_the_tower_that_nobody_named(words, tower):
    assert compose(words).tower.name == tower
