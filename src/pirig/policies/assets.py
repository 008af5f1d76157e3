"""What travels with the weights: the statistics, the contract, the tokenizer's file, and policy.json.

With them a policy is rebuilt without the run's config and without the network.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pirig.config.places import POLICY_FILE, STATS_FILE, TOKENIZER_FILE
from pirig.transforms.normalize import save_norm_stats
from pirig.transforms.pipeline import Pipeline

if TYPE_CHECKING:
    from pirig.datasets.lerobot_read import Dataset
    from pirig.transforms.tokenizer import Tokenizer

PALIGEMMA_TOKENIZER = "gs://big_vision/paligemma_tokenizer.model"


def load_tokenizer(name: str, max_token_len: int, url: str | None = None) -> Tokenizer:
    """By the config's name ("builtin", "paligemma" or a SentencePiece file) or by the class name in policy.json.

    PaliGemma's file is fetched into the weights' cache once; `url` is a mirror of the bucket's host. Raises ValueError
    where it cannot be fetched, or `name` is no file.
    """
    from pirig.transforms.tokenizer import BuiltinTokenizer, SentencePieceTokenizer

    if name in ("builtin", BuiltinTokenizer.__name__):
        return BuiltinTokenizer(max_token_len)
    if name in ("paligemma", SentencePieceTokenizer.__name__):
        return SentencePieceTokenizer(_paligemma_file(url), max_token_len)
    path = Path(name).expanduser()
    if not path.is_file():
        raise ValueError(
            f"size.tokenizer={name}: expected builtin, paligemma or a SentencePiece file, found no such file"
        )
    return SentencePieceTokenizer(path, max_token_len)


def _paligemma_file(url: str | None) -> Path:
    from pirig.weights.bucket import FetchError
    from pirig.weights.fetch import fetch_file

    try:
        return fetch_file(PALIGEMMA_TOKENIZER, url=url)
    except FetchError as error:
        reason = str(error).split("; ")[0]
        raise ValueError(
            f"PaliGemma's tokenizer ({PALIGEMMA_TOKENIZER}) could not be fetched: {reason}; fetch that one file (4 MB) "
            "elsewhere and give size.tokenizer=/path/to/paligemma_tokenizer.model, or name a mirror with weights.url=URL"
        ) from error


def saved_tokenizer(assets: Path, record: dict[str, Any]) -> Tokenizer:
    """The tokenizer that a checkpoint was trained with: its own copy of the file, where it needs one."""
    kept = assets / TOKENIZER_FILE
    name = str(kept) if kept.is_file() else record["tokenizer"]
    return load_tokenizer(name, record["model_config"]["max_token_len"])


def policy_record(pipeline: Pipeline, dataset: Dataset) -> dict[str, Any]:
    """The JSON dict of policy.json."""
    config = pipeline.model_config
    return {
        "model_config": dataclasses.asdict(config),
        "normalization": pipeline.normalization,
        "state_in_prompt": pipeline.state_in_prompt,
        "relative_to_state": list(pipeline.relative_to_state),
        "tokenizer": type(pipeline.tokenizer).__name__,
        "horizon": config.action_horizon,
        "demo_lengths": [int(length) for length in dataset.lengths],
        "probe": pipeline.probe(dataset.state[0], dataset.actions[0]),
        "demo_seeds": [int(seed) for seed in dataset.seeds],
    }


def asset_writer(pipeline: Pipeline, dataset: Dataset, extra: dict[str, Any] | None = None) -> Callable[[Path], None]:
    """A function that writes the files into a folder."""
    tokenizer_file = getattr(pipeline.tokenizer, "path", None)
    text = json.dumps({**policy_record(pipeline, dataset), **(extra or {})}, indent=2, default=_plain) + "\n"

    def write(folder: Path) -> None:
        save_norm_stats(folder / STATS_FILE, pipeline.stats)
        pipeline.contract.save(folder)
        if tokenizer_file is not None:
            shutil.copyfile(tokenizer_file, folder / TOKENIZER_FILE)
        (folder / POLICY_FILE).write_text(text)

    return write


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return np.dtype(value).name
