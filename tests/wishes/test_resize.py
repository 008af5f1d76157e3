"""Another resize: a function and its line in `RESIZES`, chosen by a size YAML of one's own. Contract and frame cache know it."""

import dataclasses

import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.contract import ContractError, require_equal
from pirig.datasets.frame_cache import frame_cache
from pirig.datasets.lerobot.read import Dataset
from pirig.transforms import images
from tests.datasets.episodes import make_contract, write_dataset

YAML = "defaults: [tiny, _self_]\nname: tiny_middle\nresize: middle\n"


def middle(images_u8, px):
    """The middle quarter of a picture, enlarged: u8 [..., H, W, 3] -> u8 [..., px, px, 3]."""
    height, width = images_u8.shape[-3:-1]
    top, left = height // 4, width // 4
    return images.resize_with_pad(images_u8[..., top : top + height // 2, left : left + width // 2, :], px)


@pytest.fixture
def wish(tmp_path, monkeypatch):
    monkeypatch.setitem(images.RESIZES, "middle", middle)
    (tmp_path / "conf" / "size").mkdir(parents=True)
    (tmp_path / "conf" / "size" / "tiny_middle.yaml").write_text(YAML)
    return [f"hydra.searchpath=[{(tmp_path / 'conf').as_uri()}]", "size=tiny_middle"]


def test_it_is_part_of_the_contract(wish):
    usual, other = contract_of(compose([])), contract_of(compose(wish))
    assert other.resize == "middle" and other.image_px == usual.image_px
    with pytest.raises(ContractError, match="resize"):
        require_equal(other, usual, our_name="middle", their_name="usual")


def test_the_training_sees_what_it_makes(wish, tmp_path):
    contract = dataclasses.replace(make_contract(), resize="middle")
    dataset = Dataset(write_dataset(tmp_path / "lerobot", contract, [0, 1]))
    frames = frame_cache(dataset, 20, tmp_path / "cache")["base_0_rgb"]
    shown = dataset.image("base_0_rgb", 5)
    np.testing.assert_array_equal(frames[5], middle(shown, 20))
    assert (frames[5] != images.resize_with_pad(shown, 20)).any()


def test_a_resize_that_nobody_knows_is_refused_with_those_that_are_known():
    with pytest.raises(ValueError, match=r"size\.resize=middle: expected one of pad"):
        images.resize_named("middle")
