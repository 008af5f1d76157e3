"""A checkpoint of random numbers in openpi's layout: params/ and assets/<asset id>/norm_stats.json."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from pirig.config.schema import Config
from pirig.models.layout import init_params
from pirig.policies.build import model_of
from pirig.policies.tokenizers import load_tokenizer
from pirig.transforms.normalize import NormStats, save_norm_stats
from pirig.weights.save import save_params


def write(folder: Path, config: Config, asset: str, stats: Mapping[str, NormStats]) -> Any:
    """Its parameters. `config`: of the model, with the builtin tokenizer."""
    model = model_of(config, load_tokenizer("builtin", config.size.max_token_len).vocab_size)
    random = np.random.default_rng(0)  # fresh parameters have closed gates, behind which nothing is seen
    fresh = init_params(jax.random.key(7), model)
    params = jax.tree.map(lambda leaf: np.asarray(leaf + random.normal(0, 0.05, leaf.shape), np.float32), fresh)
    folder.mkdir()
    save_params(folder / "params", params)
    save_norm_stats(folder / "assets" / asset / "norm_stats.json", stats)
    return params
