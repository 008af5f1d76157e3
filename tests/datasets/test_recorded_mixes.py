"""Recorded data sets in one training: each by its own mapping, with its own sentences, cameras and statistics."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.checks import ConfigError
from pirig.config.load import compose, loaded, typed
from pirig.config.mixes import configs_of
from pirig.config.places import places_of
from pirig.config.plain import as_plain
from pirig.contract import Contract
from pirig.datasets.in_place import InPlace
from pirig.datasets.joined import prompts_of, sources_of
from pirig.datasets.make import open_data_set, open_frames
from pirig.policies.build import pipeline_of
from pirig.stages import convert, stats
from pirig.training.batches import BatchSettings, prepare
from pirig.training.validation import held_out_of
from pirig.transforms.normalize import load_norm_stats
from tests.datasets.kinova_recordings import write_recording
from tests.datasets.layouts import LAB_PX, episodes_of, settings_of
from tests.datasets.recorded_mix import mix_of_two


@pytest.fixture
def words(tmp_path):
    return mix_of_two(tmp_path)


def test_the_contract_says_whose_sentences_cameras_and_statistics(words):
    config = compose([*words, "mix.norm_stats=per_source"])
    contract = contract_of(config)
    assert [scene.task for scene in contract.scenes] == [
        "bowls/open the drawer", "bowls/put the bowl away", "drawers"
    ]  # fmt: skip
    assert contract.sources == ["bowls", "drawers"] and {scene.norm_stats for scene in contract.scenes} == {"own"}
    assert {(one.width_px, one.height_px) for one in contract.cameras} == {(32, 32)}  # they differ: the model's
    own = contract.of_task("drawers")
    assert own.prompt == "close the drawer" and [one.sensor for one in own.cameras] == ["front", "hand"]
    assert own.cameras[0].height_px == 24 and own.scene.norm_stats == ""
    assert (
        len(contract.of_task("bowls").scenes) == 2
        and contract.of_task("bowls/open the drawer").prompt == "open the drawer"
    )
    assert Contract.from_json(contract.to_json()) == contract
    again = typed(loaded(json.loads(json.dumps(as_plain(config)))))
    assert again == config


@pytest.mark.parametrize("rule", ["joint", "per_source"])
def test_numbers_sentences_shares_and_statistics_are_each_data_sets(words, rule):
    config = compose([*words, f"mix.norm_stats={rule}"])
    places = places_of(config)
    convert.make(config, places)
    stats.make(config, places)
    dataset = open_data_set(config, places)
    assert all(isinstance(part, InPlace) for part in dataset.parts.values())
    assert dataset.lengths == [14] * 5 and list(dict.fromkeys(sources_of(dataset))) == ["bowls", "drawers"]
    assert list(prompts_of(dataset)[[0, 14, 28, 42]]) == [
        "put the bowl away", "open the drawer", "put the bowl away", "close the drawer"
    ]  # fmt: skip
    files = places.statistics
    assert set(files) == ({"bowls", "drawers"} if rule == "per_source" else {""})
    own = {"bowls": dataset.actions[:42], "drawers": dataset.actions[42:], "": dataset.actions}
    for name, file in files.items():
        np.testing.assert_allclose(load_norm_stats(file)["actions"].mean, own[name].mean(0), atol=1e-5)
    held_out = held_out_of(dataset, replace(config.train, validation_share=0.1))
    assert [dataset.sources[episode] for episode in held_out] == ["bowls", "drawers"]  # a tenth of each, at least one
    assert held_out_of(dataset, config.train) == []
    pipeline, frames = pipeline_of(config, dataset.contract, files), open_frames(dataset, 32, places)
    assert frames["base_0_rgb"].shape == (70, 32, 32, 3)
    batches = prepare(pipeline, dataset, frames, BatchSettings(1000, 3), shares={"bowls": 0.75, "drawers": 0.25})
    drawn = batches.indices(0)
    assert (drawn < 42).sum() == 750
    tasks = ["drawers"] if rule == "per_source" else None
    normal = pipeline.model_actions(dataset.actions[None, 42:46], dataset.state[42:43], tasks)[0]
    np.testing.assert_allclose(batches.gather(np.array([42]))["actions"][0], normal, atol=1e-5)


def test_a_planned_task_and_a_recorded_one_share_a_simulator(tmp_path):
    folder = write_recording(tmp_path / "pull", episodes=episodes_of("lab"), **settings_of("lab"))
    (tmp_path / "mix").mkdir()
    sources = f"sources: {{push_cube: {{}}, pull_cube: {{path: {folder}, mapping: lab}}}}\n"
    (tmp_path / "mix" / "lab.yaml").write_text("name: lab\n" + sources)
    given = [f"hydra.searchpath=[file://{tmp_path}]", "mix=lab", "size=tiny", f"run.root={tmp_path}/o"]
    config = compose([*given, "dataset.format=source", "control.control_hz=10", f"camera.resolution_px={LAB_PX}"])
    alone = compose(["task=push_cube", "size=tiny", "control.control_hz=10", f"camera.resolution_px={LAB_PX}"])
    contract, places = contract_of(config), places_of(config)
    assert contract.of_task("push_cube") == contract_of(alone)
    assert contract.of_task("pull_cube").env_id == "PullCube-v1" and contract.scenes[1].norm_stats == "joint"
    own = configs_of(config)["pull_cube"]
    convert.make(own, places.sources["pull_cube"])
    dataset = open_data_set(own, places.sources["pull_cube"])
    assert isinstance(dataset, InPlace) and not dataset.scenes_known and dataset.lengths == [14] * 3


@pytest.mark.parametrize(
    ("sources", "says"),
    [
        ("{a: {path: PATH}, b: {}}", "its source b has no recorded data set; give mix.sources.b.path=FOLDER"),
        ("{a: {path: PATH, mapping: aloha}}", "no image column 'observation.images.cam_high'"),
        ("{a/b: {path: PATH, mapping: libero}}", "a source called a/b: expected a name without /"),
    ],
)
def test_what_cannot_be_mixed_is_refused(tmp_path, sources, says):
    folder = write_recording(tmp_path / "bowls", episodes=episodes_of("libero", 2), robot="panda")
    (tmp_path / "mix").mkdir()
    (tmp_path / "mix" / "mine.yaml").write_text(f"name: mine\nsources: {sources.replace('PATH', str(folder))}\n")
    with pytest.raises((ValueError, ConfigError), match=says):
        compose([f"hydra.searchpath=[file://{tmp_path}]", "data=libero", "mix=mine", "size=tiny"])
