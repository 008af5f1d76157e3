"""Numbers as options, old keys in new places, weights that follow the model: on the command line and in YAML."""

import pytest

from pirig.config.checks import ConfigError
from pirig.config.command_line import rewrite, words_of_point
from pirig.config.load import compose, of_run
from pirig.config.places import places_of
from pirig.runs.identity import run_id
from pirig.runs.record import open_run


@pytest.mark.parametrize("word", ["horizon=12", "horizon=h12", "horizon.steps=12"])
def test_any_number_is_a_horizon(word):
    assert compose([word]).horizon.steps == 12


def test_any_number_is_fsdp_and_its_other_key_stays():
    config = compose(["fsdp=3", "fsdp.min_mib=1", "train.batch_size=33"])
    assert (config.fsdp.devices, config.fsdp.min_mib) == (3, 1.0)
    assert compose(["fsdp=fsdp8"]).fsdp.devices == compose(["fsdp=8"]).fsdp.devices == 8


def test_a_file_goes_before_the_number_in_its_name(tmp_path):
    (tmp_path / "horizon").mkdir()
    (tmp_path / "horizon" / "mine.yaml").write_text("steps: 7\n")
    assert compose([f"hydra.searchpath=[file://{tmp_path}]", "horizon=mine", "eval.execute=7"]).horizon.steps == 7


@pytest.mark.parametrize("value", ["0", "-1", "2.5", "x", "h0", "12x", "8,0"])
@pytest.mark.parametrize("group", ["horizon", "fsdp"])
def test_what_is_no_number_gets_a_sentence(group, value):
    with pytest.raises(ValueError, match=f"^{group}=.*: expected a whole number of at least 1, as in {group}=12"):
        rewrite([f"{group}={value}"])


def test_no_devices_get_a_sentence():
    with pytest.raises(ConfigError, match=r"fsdp\.devices=0: expected a whole number of at least 1"):
        compose(["fsdp.devices=0"])


def test_numbers_in_an_experiment(tmp_path):
    """In its defaults list, over those of the experiment that it builds on."""
    (tmp_path / "experiment").mkdir()
    mine = "# @package _global_\ndefaults: [quickstart, override /horizon: 12, override /fsdp: 2, _self_]\n"
    (tmp_path / "experiment" / "mine.yaml").write_text(mine)
    further = "# @package _global_\ndefaults:\n  - mine\n  - override /horizon: 9\n  - _self_\n"
    (tmp_path / "experiment" / "further.yaml").write_text(further)
    folder = f"hydra.searchpath=[file://{tmp_path}]"
    config = compose([folder, "experiment=mine"])
    assert (config.horizon.steps, config.fsdp.devices) == (12, 2)
    assert compose([folder, "experiment=further"]).horizon.steps == 9
    assert compose([folder, "experiment=mine", "horizon=11"]).horizon.steps == 11


OLD_EXPERIMENT = """# @package _global_
defaults:
  - quickstart
  - _self_
run: {experiment: old}
train:
  steps: 300
  peak_lr: 5.0e-4
  warmup_steps: 7
"""


@pytest.fixture
def old_experiment(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "old.yaml").write_text(OLD_EXPERIMENT)
    return [f"hydra.searchpath=[file://{tmp_path}]", "experiment=old"]


def test_old_keys_in_an_experiment_win_over_what_it_builds_on(old_experiment):
    config = compose(old_experiment)
    assert (config.schedule.peak_lr, config.schedule.warmup_steps, config.train.steps) == (5e-4, 7, 300)
    assert config.schedule.final_lr == 1e-5  # quickstart's


@pytest.mark.parametrize("key", ["train", "schedule"])
def test_the_command_line_wins_over_old_keys(old_experiment, key):
    assert compose([*old_experiment, f"{key}.peak_lr=1e-3"]).schedule.peak_lr == 1e-3


def test_old_and_new_keys_are_one():
    old = compose(["train.peak_lr=1e-3", "train.final_lr=1e-4", "train.warmup_steps=5", "train.decay_steps=50"])
    new = compose(
        ["schedule.peak_lr=1e-3", "schedule.final_lr=1e-4", "schedule.warmup_steps=5", "schedule.decay_steps=50"]
    )
    assert old == new and old.schedule.name == "cosine"


def test_the_old_keys_of_a_cosine_bring_it_back():
    """`experiment=lab_... train.final_lr=...` was a cosine before the preset was a constant."""
    config = compose(["experiment=lab_stack_cube", "train.final_lr=2.5e-6", "train.decay_steps=30000"])
    assert (config.schedule.name, config.schedule.final_lr, config.schedule.peak_lr) == ("cosine", 2.5e-6, 5e-5)
    with pytest.raises(ValueError, match=r"train\.final_lr with schedule=constant: .*now schedule\.final_lr"):
        rewrite(["schedule=constant", "train.final_lr=1"])


def test_a_run_of_the_lab_preset_that_an_older_version_made_is_resumed(tmp_path):
    """It was saved as a cosine from the peak to the peak, under the keys of then."""
    place = [f"run.root={tmp_path}", "run.name=one", "size=tiny", "weights=scratch"]
    config = compose(["experiment=lab_stack_cube", *place, "run.mode=resume"])
    folder = open_run(config, places_of(config))
    text = (folder / "config.yaml").read_text()
    start, end = text.index("schedule:"), text.index("eval:")
    rates = "  peak_lr: 5.0e-05\n  final_lr: 5.0e-05\n  warmup_steps: 10000\n  decay_steps: 1000000\n"
    (folder / "config.yaml").write_text(text[:start].replace("train:\n", "train:\n" + rates) + text[end:])
    assert of_run(folder, []).schedule == config.schedule
    assert run_id(of_run(folder, [])) == run_id(config)
    assert open_run(config, places_of(config)) == folder
    assert of_run(folder, ["train.peak_lr=1"]).schedule.peak_lr == 1


@pytest.mark.parametrize("kind", ["pi0", "pi05"])
def test_base_weights_follow_the_model(kind):
    base, named = (compose([f"model={kind}", "size=full", f"weights={name}"]) for name in ("base", f"{kind}_base"))
    assert base == named and run_id(base) == run_id(named)


def test_a_pair_is_one_axis():
    assert rewrite(["-m", "pair=model=pi0 horizon=8 | model=pi05 horizon=16"]) == [
        "-m",
        "pair='model=pi0 horizon=8','model=pi05 horizon=16'",
    ]
    assert words_of_point(["train.seed=1", "pair='model=pi0 horizon=8'"]) == ["train.seed=1", "model=pi0", "horizon=h8"]
    said = rewrite(["pair=task.prompt='the cup' horizon=8 | task.prompt=x"])
    assert said == [r"pair='task.prompt=\'the cup\' horizon=8','task.prompt=x'"]
    assert words_of_point([said[0].split("','")[0] + "'"]) == ["task.prompt='the cup'", "horizon=h8"]
    assert rewrite(["pair=model=pi0 horizon=8"]) == ["model=pi0", "horizon=h8"]


@pytest.mark.parametrize(
    "words", [["pair=model | x"], ["pair="], ["pair=a=1 | "], ["pair=a=1 | a=2", "pair=b=1 | b=2"]]
)
def test_a_pair_without_alternatives_is_refused(words):
    with pytest.raises(ValueError, match="alternatives"):
        rewrite(words)
