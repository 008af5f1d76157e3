"""Several tasks in one training: what the config makes of a mix, and what it refuses."""

import json
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from pirig.config.agreement import contract_of
from pirig.config.checks import ConfigError
from pirig.config.load import compose, loaded, typed
from pirig.config.mixes import configs_of, shares_of
from pirig.config.places import places_of
from pirig.config.plain import as_plain
from pirig.contract import Contract

TASKS = ("push_cube", "pull_cube")


@pytest.fixture(scope="module")
def mix():
    return compose(["experiment=smoke", "mix=push_pull"])


@pytest.mark.parametrize("task", TASKS)
def test_each_task_has_the_contract_and_the_data_that_it_has_alone(mix, task):
    alone = compose(["experiment=smoke", f"task={task}"])
    assert contract_of(mix).of_task(task) == contract_of(alone)
    assert configs_of(mix)[task].task == alone.task
    ours, theirs = places_of(mix).sources[task], places_of(alone)
    assert (ours.demos, ours.data_set, ours.norm_stats) == (theirs.demos, theirs.data_set, theirs.norm_stats)


def test_the_mix_has_a_contract_a_run_and_statistics_of_its_own(mix):
    contract, places = contract_of(mix), places_of(mix)
    assert [scene.task for scene in contract.scenes] == list(TASKS)
    assert Contract.from_json(contract.to_json()) == contract
    assert mix.run.name.startswith("push_pull-") and "push_pull" in str(places.norm_stats)
    assert mix.task.min_episode_steps == 33 and shares_of(mix) == {"push_cube": 0.5, "pull_cube": 0.5}


def test_a_saved_mix_loads_without_its_tasks_files(mix):
    plain = as_plain(mix)
    plain["mix"]["sources"]["pull_cube"]["task"]["prompt"] = "Drag it."
    again = typed(loaded(OmegaConf.create(json.loads(json.dumps(plain)))))
    assert [scene.prompt for scene in contract_of(again).scenes][1] == "Drag it."
    assert again.run == mix.run


def test_statistics_per_source_need_a_sentence_for_each_task(mix):
    plain = as_plain(mix)
    plain["mix"]["norm_stats"] = "per_source"
    assert typed(loaded(OmegaConf.create(json.loads(json.dumps(plain))))).mix.norm_stats == "per_source"
    plain["mix"]["sources"]["pull_cube"]["task"]["prompt"] = mix.mix.sources["push_cube"].task.prompt
    with pytest.raises(ConfigError, match="two of its tasks have one prompt"):
        typed(loaded(OmegaConf.create(json.loads(json.dumps(plain)))))


def test_weights_are_keys_and_shares_follow(mix):
    config = compose(["experiment=smoke", "mix=push_pull", "mix.sources.push_cube.weight=3"])
    assert shares_of(config) == {"push_cube": 0.75, "pull_cube": 0.25}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["task=[push_cube,pull_cube]"], r"the last name wins \(pull_cube\).*mix=NAME.*-m task=push_cube,pull_cube"),
        (["task=push_cube", "mix=push_pull"], "task=push_cube with mix=push_pull: a mix says itself"),
        (["mix=push_pull", "mix.sources.push_cube.weight=0"], r"push_cube\.weight=0\.0: expected a number above 0"),
        (["mix=push_pull", "mix.norm_stats=apart"], "norm_stats=apart: expected joint or per_source"),
        (["mix=push_pull", "demos.path=/a.h5"], "demos.path=/a.h5: it names one task's demos"),
    ],
)
def test_what_contradicts_itself_is_refused(words, says):
    with pytest.raises((ValueError, ConfigError), match=says):
        compose(["experiment=smoke", *words])


def test_a_mix_of_ones_own_is_one_file_and_a_goal_that_no_camera_shows_needs_the_state_that_holds_it(tmp_path):
    (tmp_path / "mix").mkdir()
    (tmp_path / "mix" / "mine.yaml").write_text("name: mine\nsources: {push_cube: {weight: 2}, pick_cube: {}}\n")
    words = [f"hydra.searchpath=[{tmp_path.as_uri()}]", "experiment=smoke", "mix=mine"]
    with pytest.raises(ConfigError, match="no camera shows this task's goal"):
        compose(words)
    config = compose([*words, "state=joints_goal"])
    assert shares_of(config) == {"push_cube": 2 / 3, "pick_cube": 1 / 3}


def test_contracts_of_one_task_keep_the_hashes_that_they_had():
    recorded = json.loads((Path(__file__).parent / "contract_hashes.json").read_text())
    assert len(recorded) >= 10
    assert {words: contract_of(compose(words.split())).hash for words in recorded} == recorded
