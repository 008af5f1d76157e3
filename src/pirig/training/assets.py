"""What travels with the weights: the statistics, the contract, and what a policy needs to be rebuilt (policy.json)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pirig.transforms.normalize import save_norm_stats
from pirig.transforms.pipeline import Pipeline

if TYPE_CHECKING:
    from pirig.datasets.lerobot_read import Dataset
    from pirig.models.tokenizer import Tokenizer

POLICY_FILE, STATS_FILE = "policy.json", "norm_stats.json"
PALIGEMMA_TOKENIZER = "gs://big_vision/paligemma_tokenizer.model"


def load_tokenizer(name: str, max_token_len: int, url: str | None = None) -> Tokenizer:
    """By the config's name ("builtin", "paligemma") or by the class name that policy.json records.

    PaliGemma's file is fetched into the weights' cache once; `url` is a mirror of the bucket's host.
    """
    from pirig.models.tokenizer import BuiltinTokenizer, SentencePieceTokenizer

    if name in ("builtin", BuiltinTokenizer.__name__):
        return BuiltinTokenizer(max_token_len)
    if name not in ("paligemma", SentencePieceTokenizer.__name__):
        raise ValueError(f"tokenizer {name!r}: expected builtin or paligemma")
    from pirig.weights.fetch import fetch_file

    return SentencePieceTokenizer(fetch_file(PALIGEMMA_TOKENIZER, url=url), max_token_len)


def policy_record(pipeline: Pipeline, dataset: Dataset) -> dict[str, Any]:
    """The JSON dict of policy.json."""
    config = pipeline.model_config
    return {
        "model_config": dataclasses.asdict(config),
        "normalization": pipeline.normalization,
        "state_in_prompt": pipeline.state_in_prompt,
        "tokenizer": type(pipeline.tokenizer).__name__,
        "horizon": config.action_horizon,
        "demo_lengths": [int(length) for length in dataset.lengths],
        "probe": pipeline.probe(dataset.state[0], dataset.actions[0]),
        "demo_seeds": [int(seed) for seed in dataset.seeds],
    }


def asset_writer(pipeline: Pipeline, dataset: Dataset, extra: dict[str, Any] | None = None) -> Callable[[Path], None]:
    """A function that writes the three files into a folder."""
    text = json.dumps({**policy_record(pipeline, dataset), **(extra or {})}, indent=2, default=_plain) + "\n"

    def write(folder: Path) -> None:
        save_norm_stats(folder / STATS_FILE, pipeline.stats)
        pipeline.contract.save(folder)
        (folder / POLICY_FILE).write_text(text)

    return write


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return np.dtype(value).name
