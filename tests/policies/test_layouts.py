"""Layouts of requests: each is recognised by its keys, gives what it was written from, and says what does not fit."""

import dataclasses

import numpy as np
import pytest

from pirig.contract import Camera
from pirig.policies import layouts
from tests.evaluation.conftest import contract  # noqa: F401

ROLES = ("base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb")


def of(contract, count):  # noqa: F811
    cameras = tuple(Camera(role, f"{role}_sensor", 40, 24) for role in ROLES[:count])
    return dataclasses.replace(contract, cameras=cameras)


def shown(contract, **changes):  # noqa: F811
    random = np.random.default_rng(0)
    images = {
        camera.role: random.integers(0, 255, (camera.height_px, camera.width_px, 3), np.uint8)
        for camera in contract.cameras
    }
    state = random.standard_normal(contract.state_dim).astype(np.float32)
    return dataclasses.replace(layouts.Shown(images, state, "lift it"), **changes)


@pytest.mark.parametrize("name, cameras", [("aloha", 3), ("droid", 2), ("libero", 2), ("ours", 3), ("libero", 1)])
def test_what_is_written_is_read_again(contract, name, cameras):  # noqa: F811
    agreed = of(contract, cameras)
    before = shown(agreed)
    request = layouts.named(name).write(before, agreed)
    assert layouts.layout_of(request) is layouts.named(name)
    after = layouts.read(request, agreed)
    assert after.prompt == "lift it"
    np.testing.assert_array_equal(after.state, before.state)
    for role, image in before.images.items():
        np.testing.assert_array_equal(after.images[role], image)


def test_a_request_of_no_layout_is_told_the_known_ones(contract):  # noqa: F811
    with pytest.raises(ValueError, match=r"has picture; .*libero: observation/image, observation/state"):
        layouts.read({"picture": 1}, contract)
    with pytest.raises(ValueError, match="this one is a list"):
        layouts.read([1, 2], contract)


@pytest.mark.parametrize(
    "key, value, said",
    [
        ("state", np.zeros(3, np.float32), r"state has 3 numbers, the policy reads \d+ \(qpos"),
        ("state", np.full(40, np.nan, np.float32), "NaN"),
        ("state", "0.1 0.2", "expected a vector"),
        ("images", {"base_0_rgb": np.zeros((24, 40, 3), np.float32)}, r"float32 \[24, 40, 3\], expected uint8"),
        ("images", {"base_0_rgb": np.zeros((10, 10, 3), np.uint8)}, r"uint8 \[24, 40, 3\] or \[\d+, \d+, 3\]"),
        ("images", {"base_0_rgb": np.zeros((3, 24, 40), np.uint8)}, "expected uint8"),
        ("images", {"base_0_rgb": "a picture"}, "is a str"),
        ("prompt", "", "text of 1 to"),
        ("prompt", 7, "text of 1 to"),
        ("prompt", np.zeros(2), "expected text"),
        ("noise", np.zeros(2, np.int32), "finite float32"),
    ],
)
def test_what_does_not_fit_is_named(contract, key, value, said):  # noqa: F811
    agreed = of(contract, 1)
    request = layouts.named("ours").write(shown(agreed), agreed) | {key: value}
    with pytest.raises(ValueError, match=said):
        layouts.read(request, agreed)


def test_a_camera_that_is_missing_is_named(contract):  # noqa: F811
    request = layouts.named("libero").write(shown(of(contract, 1)), of(contract, 1))
    with pytest.raises(ValueError, match="lacks observation/wrist_image"):
        layouts.read(request, of(contract, 2))
    with pytest.raises(ValueError, match="right_wrist_0_rgb, for which this layout has no key"):
        layouts.named("libero").read(
            request | {"observation/wrist_image": shown(of(contract, 2)).images[ROLES[1]]}, of(contract, 3)
        )


def test_a_picture_that_already_is_the_models_size_is_taken(contract):  # noqa: F811
    agreed = of(contract, 1)
    image = np.zeros((contract.image_px, contract.image_px, 3), np.uint8)
    request = layouts.named("ours").write(shown(agreed, images={"base_0_rgb": image}), agreed)
    assert layouts.read(request, agreed).images["base_0_rgb"].shape == image.shape


def test_the_config_knows_every_layout():
    """`eval.layout` is asked before anything starts, where no policy is imported yet."""
    from pirig.config.domains import LayoutName

    (domain,) = LayoutName.__metadata__
    assert sorted(domain.names) == layouts.names()
