"""A camera that is moved, and one that the task does not have: keys of an entry, no code."""

import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.contract import ContractError, require_equal
from pirig.sim.door import open_simulator

SMALL = ["task=push_cube", "camera.resolution_px=64"]
YAML = """
defaults: [nowrist, _self_]
name: side
entries:
  side:
    role: right_wrist_0_rgb
    sensor: side_camera
    width_px: 48
    height_px: 32
    eye_m: [0.0, 0.7, 0.4]
    target_m: [0.0, 0.0, 0.05]
    fov_rad: 0.9
"""


def side(folder, text=YAML):
    """Overrides that choose such a camera from a folder of one's own."""
    (folder / "camera").mkdir(parents=True)
    (folder / "camera" / "side.yaml").write_text(text)
    return [f"hydra.searchpath=[{folder.as_uri()}]", "camera=side"]


def shown(*overrides):
    """The contract, and the pictures of a scene's start."""
    contract = contract_of(compose([*SMALL, *overrides]))
    sim = open_simulator(contract)
    sim.reset(3)
    images = sim.observe().images
    sim.close()
    return contract, images


@pytest.fixture(scope="module")
def usual():
    return shown()


def test_a_moved_camera_shows_another_picture_under_another_contract(usual):
    contract, images = shown("camera.entries.base.eye_m=[0.45,0.0,0.5]", "camera.entries.base.target_m=[0.03,0.0,0.02]")
    assert np.abs(images["base_0_rgb"].astype(int) - usual[1]["base_0_rgb"]).mean() > 5
    with pytest.raises(ContractError, match=r"cameras: .*'eye_m': \(0\.45.* != "):
        require_equal(contract, usual[0], our_name="moved", their_name="usual")


def test_a_new_camera_is_an_entry_with_a_place(usual, tmp_path):
    contract, images = shown(*side(tmp_path / "one"))
    assert [camera.sensor for camera in contract.cameras] == ["base_camera", "side_camera"]
    np.testing.assert_array_equal(images["base_0_rgb"], usual[1]["base_0_rgb"])  # it disturbs nobody
    left = images["right_wrist_0_rgb"]
    assert left.shape == (32, 48, 3) and left.std() > 10
    _, moved = shown(*side(tmp_path / "other", YAML.replace("0.7, 0.4", "-0.7, 0.4")))
    assert np.abs(left.astype(int) - moved["right_wrist_0_rgb"]).mean() > 3  # it stands where the entry says


def test_a_new_camera_without_a_place_is_refused_with_what_it_needs(tmp_path):
    with pytest.raises(ValueError, match=r"no sensor 'side_camera'.*eye_m, target_m and fov_rad"):
        shown(*side(tmp_path, YAML.replace("    fov_rad: 0.9\n", "")))
