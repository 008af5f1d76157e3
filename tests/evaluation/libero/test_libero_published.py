"""`experiment=libero_published` is openpi's evaluation of pi05_libero, number by number; it takes a checkpoint of that layout."""

import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.evaluation.on_given import given_weights
from pirig.evaluation.on_served import is_alone
from pirig.policies.given import given_of
from pirig.sim.door import Observation
from tests.evaluation.libero import published

LIMITS = {"libero_spatial": 220, "libero_object": 280, "libero_goal": 300, "libero_10": 520}  # openpi's examples/libero


@pytest.mark.parametrize("suite", LIMITS)
def test_the_preset_has_openpis_settings(suite):
    config = compose(["experiment=libero_published", f"task={suite}"])
    contract = contract_of(config)
    assert (config.eval.episodes, len(contract.scenes)) == (500, 10)  # 50 trials of each task
    assert (config.eval.execute, config.horizon.steps, config.eval.flow_steps) == (5, 10, 10)
    assert config.eval.max_steps == LIMITS[suite]
    settings = dict(contract.settings)
    assert (settings["env_seed"], settings["wait_steps"], settings["turn_deg"]) == (7, 10, 180)
    assert [camera.width_px for camera in contract.cameras] == [256, 256]
    assert (contract.image_px, contract.resize, contract.state_dim, contract.action_dim) == (224, "pad", 8, 7)
    assert config.model.pi05 and not config.model.state_in_prompt and config.model.normalization == "quantile"
    assert not (config.eval.exchange_prompts or config.eval.ensemble or config.eval.rtc or config.eval.delay != "0")


def test_a_server_is_asked_in_place_of_the_weights_which_are_not_fetched_for_it(tmp_path):
    config = compose(["experiment=libero_published", "eval.server=ws://127.0.0.1:1", f"run.root={tmp_path}"])
    places = places_of(config)
    assert given_weights(config, places) is None and is_alone(config, places)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("openpi") / "pi05_libero"
    return folder, published.write(folder)


def test_a_checkpoint_of_its_layout_is_taken_with_openpis_pictures_state_and_actions(checkpoint):
    folder, words = checkpoint
    config = compose([*words, "task=libero_object"])
    given = given_of(config, contract_of(config), folder)
    assert given.stats_file.parent == folder / "assets/physical-intelligence/libero"
    assert [len(part.mean) for part in given.pipeline.stats.values()] == [8, 7]
    policy = given.policy(flow_steps=1, batch_size=1)
    draw = np.random.default_rng(0)
    images = {role: draw.integers(0, 256, (256, 256, 3), np.uint8) for role in ("base_0_rgb", "left_wrist_0_rgb")}
    shown = Observation(images, {"eef_pos": np.zeros(3), "eef_axis_angle": np.ones(3), "fingers": np.zeros(2)})
    inputs = policy.model_inputs(*policy.raw_inputs([shown]), ["put it there"])
    assert all(image.shape[-3:] == (224, 224, 3) for image in inputs.images.values())
    assert not inputs.image_masks.get(
        "right_wrist_0_rgb", np.zeros(1)
    ).any()  # openpi masks the camera that is not there
    other = policy.model_inputs(*policy.raw_inputs([shown]), ["put it elsewhere"])
    assert not np.array_equal(inputs.tokens, other.tokens)
