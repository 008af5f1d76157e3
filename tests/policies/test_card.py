"""What a checkpoint says of its policy: read as it was written, by this version and by older ones."""

import dataclasses
import json
from pathlib import Path

import pytest

from pirig.policies.card import PolicyCard, card_beside, differences, has_card, require_alike

OLD_RUN = Path(__file__).parents[1] / "compatibility" / "made_at_8868f2d" / "outputs" / "smoke"
OLD = next(OLD_RUN.glob("*/checkpoints/10"))


@pytest.fixture
def card():
    return PolicyCard.load(OLD)


def test_a_card_made_by_older_code_loads(card):
    text = json.loads((OLD / "assets" / "pirig" / "policy.json").read_text())
    assert (card.normalization, card.state_in_prompt, card.tokenizer) == ("quantile", True, "BuiltinTokenizer")
    assert list(card.demo_lengths) == text["demo_lengths"] and list(card.demo_seeds) == text["demo_seeds"]
    assert card.model.action_horizon == card.horizon == text["horizon"]
    assert card.probe == text["probe"] and card.relative_to_state == card.held_out_episodes == ()


def test_what_is_saved_is_loaded_and_older_code_finds_its_keys(card, tmp_path):
    assets = tmp_path / "assets" / "pirig"
    assets.mkdir(parents=True)
    changed = dataclasses.replace(card, relative_to_state=(6, -1), held_out_episodes=(1, 3))
    changed.save(assets)
    assert PolicyCard.load(tmp_path) == card_beside(tmp_path / "params") == changed and has_card(tmp_path)
    written, old = json.loads((assets / "policy.json").read_text()), json.loads(card.to_json())
    assert set(written) == set(old) | {"held_out_episodes"}
    assert old == json.loads((OLD / "assets" / "pirig" / "policy.json").read_text())


def test_what_the_oldest_and_a_newer_version_wrote_loads_too(card):
    plain = json.loads(card.to_json())
    for key in ("probe", "relative_to_state"):
        del plain[key]
    loaded = PolicyCard.from_json(json.dumps({**plain, "of_tomorrow": [1]}))
    assert loaded == dataclasses.replace(card, probe=None)


def test_two_cards_are_compared_by_what_no_shape_tells(card):
    other = dataclasses.replace(card, normalization="zscore", model_plain={**card.model_plain, "action_horizon": 8})
    assert differences(card, dataclasses.replace(card, demo_seeds=(9,))) == []
    assert differences(card, other) == ["horizon: 16 != 8", "normalization: 'quantile' != 'zscore'"]
    with pytest.raises(ValueError, match=r"this run and runs/5 disagree:\n  horizon: 16 != 8\n"):
        require_alike(card, other, our_name="this run", their_name="runs/5")


def test_what_is_no_card_is_named(tmp_path):
    with pytest.raises(
        ValueError, match=r"expected assets/pirig/policy\.json, found none; was this checkpoint made by"
    ):
        PolicyCard.load(tmp_path)
    with pytest.raises(ValueError, match=r"x\.json: not the record of a policy \('model_config'\)"):
        PolicyCard.from_json("{}", "x.json")
    assert card_beside(tmp_path / "params") is None and not has_card(tmp_path)
