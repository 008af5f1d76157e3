"""Prompts become the token ids that openpi's tokenizer gives (recorded); the built-in word list keeps its promises."""

import json
from pathlib import Path

import numpy as np
import pytest

from pirig.transforms.tokenizer import BuiltinTokenizer, SentencePieceTokenizer, state_bins

DATA = Path(__file__).parents[1] / "golden" / "data"
CASES = json.loads((DATA / "tokenizer_cases.json").read_text())
RECORDED = np.load(DATA / "tokenizer.npz")


@pytest.mark.parametrize("name", ["plain", "pi05", "pi05_pad32"])
def test_sentencepiece_equals_openpi(name):
    case = CASES[name]
    state = None if case["state"] is None else np.array(case["state"])
    tokens, mask = SentencePieceTokenizer(DATA / "tiny_sp.model", case["max_len"]).encode(case["prompt"], state)
    np.testing.assert_array_equal(tokens, RECORDED[f"{name}_tokens"])
    np.testing.assert_array_equal(mask, RECORDED[f"{name}_mask"])
    assert tokens.dtype == np.int32 and mask.dtype == bool


def test_a_long_prompt_is_an_error_where_openpi_cuts_it():
    case = CASES["trunc"]
    with pytest.raises(ValueError, match=r"has 1\d tokens, max_token_len is 6"):
        SentencePieceTokenizer(DATA / "tiny_sp.model", case["max_len"]).encode(case["prompt"], None)
    enough = SentencePieceTokenizer(DATA / "tiny_sp.model", 48).encode(case["prompt"], None)[0]
    np.testing.assert_array_equal(enough[: case["max_len"]], RECORDED["trunc_tokens"])


@pytest.mark.parametrize("kind", ["", "_f32"])
def test_state_bins_equal_openpi(kind):
    np.testing.assert_array_equal(state_bins(RECORDED[f"fine_state{kind}"]), RECORDED[f"fine_discretized{kind}"])
    np.testing.assert_array_equal(state_bins(RECORDED["state"]), RECORDED["discretized"])


def test_a_missing_model_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.model: expected a SentencePiece model"):
        SentencePieceTokenizer(tmp_path / "none.model", 48)


def test_builtin_is_deterministic_and_ignores_case():
    first = BuiltinTokenizer(16).encode("Pick_up the red cube", None)
    again = BuiltinTokenizer(16).encode("pick up the RED cube\n", None)
    np.testing.assert_array_equal(first, again)
    tokens, mask = first
    assert mask.sum() == 6 and (tokens[6:] == 0).all() and tokens[0] == 1


def test_builtin_spells_unknown_words_in_bytes_and_keeps_them_apart():
    encode = BuiltinTokenizer(64).encode
    assert encode("zyx", None)[1].sum() == 1 + 4  # begin, space and three letters
    assert encode("é", None)[1].sum() == 1 + 1 + 4  # two bytes of two nibbles each
    assert not np.array_equal(encode("zy x", None)[0], encode("z yx", None)[0])
    assert encode("zyx 漢字 🤖 red", np.linspace(-3, 3, 9))[0].max() < BuiltinTokenizer.vocab_size


def test_builtin_gives_each_state_number_its_own_token():
    state = np.array([-5.0, -1.0, 0.0, 0.999, 5.0])
    tokens, mask = BuiltinTokenizer(16).encode("lift the cube", state)
    words = BuiltinTokenizer(16).encode("lift the cube", None)[1].sum()
    assert mask.sum() == words + len(state)
    np.testing.assert_array_equal(tokens[words : mask.sum()] - 4, [0, 0, 128, 255, 255])


def test_builtin_names_both_lengths_of_a_long_prompt():
    with pytest.raises(ValueError, match=r"the prompt has 5 tokens, max_token_len is 3.*at least 5"):
        BuiltinTokenizer(3).encode("lift the red cube", None)
