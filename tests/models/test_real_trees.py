"""The real-size parameter trees are openpi's, path by path; nothing is allocated."""

import json
from dataclasses import replace
from pathlib import Path

import jax
import pytest

from pirig.models.layout import flatten, param_count, param_shapes
from pirig.models.lora import trainable_mask
from pirig.models.sizes import SIZES, model_config

RECORDED = json.loads((Path(__file__).parents[1] / "golden" / "data" / "real_param_trees.json").read_text())


def config_of(recorded):
    config = model_config(
        pi05=recorded["pi05"],
        size="full",
        lora=False,
        action_dim=recorded["action_dim"],
        action_horizon=recorded["action_horizon"],
        max_token_len=recorded["max_token_len"],
        image_px=224,
    )
    full = SIZES["full"]
    vlm_lora = full.vlm_lora if recorded["paligemma_variant"].endswith("_lora") else None
    expert_lora = full.expert_lora if recorded["action_expert_variant"].endswith("_lora") else None
    return replace(config, vlm=replace(config.vlm, lora=vlm_lora), expert=replace(config.expert, lora=expert_lora))


@pytest.mark.parametrize("name", RECORDED)
def test_tree_equals_openpis(name):
    recorded = RECORDED[name]
    config = config_of(recorded["config"])
    leaves = flatten(param_shapes(config))
    assert {path: list(leaf.shape) for path, leaf in leaves.items()} == {
        path: shape for path, (shape, _) in recorded["leaves"].items()
    }
    assert {str(leaf.dtype) for leaf in leaves.values()} == {"float32"}
    assert param_count(config) == recorded["n_params"] == sum(leaf.size for leaf in jax.tree.leaves(leaves))
    trained = flatten(trainable_mask(config))
    assert sorted(path for path, on in trained.items() if on) == sorted(recorded["trainable"])


def test_lora_by_size_name_is_openpis():
    lora = model_config(
        pi05=False, size="full", lora=True, action_dim=32, action_horizon=50, max_token_len=48, image_px=224
    )
    assert lora == config_of(RECORDED["pi0_lora"]["config"])
