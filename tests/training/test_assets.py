"""The tokenizer of a config, and the one that travels with a checkpoint."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from pirig.config.checks import ConfigError
from pirig.config.load import compose
from pirig.policies.build import model_of
from pirig.policies.card import PolicyCard
from pirig.policies.tokenizers import load_tokenizer, saved_tokenizer
from pirig.transforms.tokenizer import BuiltinTokenizer, SentencePieceTokenizer
from pirig.weights import bucket as bucket_module
from tests.weights.bucket_server import BucketServer

TINY = Path(__file__).parents[1] / "golden" / "data" / "tiny_sp.model"
NAME = "paligemma_tokenizer.model"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PIRIG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(bucket_module, "FIRST_PAUSE_S", 0.01)


def card_with(tokenizer):
    return PolicyCard({"max_token_len": 64}, "quantile", True, tokenizer)


def same_ids(one, other):
    return np.array_equal(one.encode("push the cube", np.zeros(3))[0], other.encode("push the cube", np.zeros(3))[0])


def test_paligemma_is_fetched_once_from_the_bucket():
    with BucketServer({NAME: TINY.read_bytes()}, bucket="big_vision") as server:
        fetched = load_tokenizer("paligemma", 64, server.url)
        assert server.requests[NAME] == 1
    again = load_tokenizer("SentencePieceTokenizer", 64, "http://127.0.0.1:1")
    assert fetched.path == again.path and fetched.path.read_bytes() == TINY.read_bytes()
    assert same_ids(fetched, SentencePieceTokenizer(TINY, 64))


def test_without_network_the_way_out_is_named():
    with pytest.raises(ValueError, match=r"could not be fetched: cannot read .*size\.tokenizer=/path"):
        load_tokenizer("paligemma", 64, "http://127.0.0.1:1")


def test_a_given_file_is_used_and_a_missing_one_named(tmp_path):
    assert same_ids(load_tokenizer(str(TINY), 64), SentencePieceTokenizer(TINY, 64))
    assert isinstance(load_tokenizer("builtin", 64), BuiltinTokenizer)
    with pytest.raises(ValueError, match=r"size\.tokenizer=.*none\.model: expected builtin, paligemma or"):
        load_tokenizer(str(tmp_path / "none.model"), 64)


def test_the_config_takes_a_path_and_refuses_another_name():
    assert compose([f"size.tokenizer={TINY}"]).size.tokenizer == str(TINY)
    with pytest.raises(ConfigError, match=r"size\.tokenizer=gemma: expected builtin, paligemma"):
        compose(["size.tokenizer=gemma"])


def test_the_model_has_room_for_the_tokenizers_ids():
    assert model_of(compose([]), 512).vocab_size == 512
    assert model_of(compose([]), 257152).vocab_size == 257152
    assert model_of(compose(["size=full"]), 512).vocab_size == 257152


def test_a_checkpoint_keeps_its_tokenizer(small, tmp_path, monkeypatch):
    given = shutil.copy(TINY, tmp_path / "mine.model")
    small.pipeline = dataclasses.replace(small.pipeline, tokenizer=SentencePieceTokenizer(given, 64))
    result = small.train(tmp_path / "run", steps=3)
    Path(given).unlink()
    kept = saved_tokenizer(result.checkpoint / "assets" / "pirig", card_with("SentencePieceTokenizer"))
    assert kept.path.is_relative_to(result.checkpoint) and same_ids(kept, SentencePieceTokenizer(TINY, 64))
    builtin = saved_tokenizer(tmp_path, card_with("BuiltinTokenizer"))
    assert isinstance(builtin, BuiltinTokenizer)
