"""A tiny checkpoint of pi05_libero's layout: params/ and assets/physical-intelligence/libero/norm_stats.json."""

from pathlib import Path

import jax
import numpy as np

from pirig.config.load import compose
from pirig.models.layout import init_params
from pirig.policies.build import model_of
from pirig.policies.tokenizers import load_tokenizer
from pirig.transforms.normalize import NormStats, save_norm_stats
from pirig.weights.save import save_params

WORDS = ["experiment=libero_published", "size=tiny", "size.image_px=224", "size.patch_px=32", "weights=local"]
PADDED = 32  # openpi pads state and actions, and writes the statistics so


def write(folder: Path) -> list[str]:
    """The words that measure it."""
    words = [*WORDS, f"weights.path={folder}"]
    config = compose(words)
    model = model_of(config, load_tokenizer("builtin", config.size.max_token_len).vocab_size)
    random = np.random.default_rng(0)  # fresh parameters have closed gates, behind which nothing is seen
    fresh = init_params(jax.random.key(7), model)
    params = jax.tree.map(lambda leaf: np.asarray(leaf + random.normal(0, 0.05, leaf.shape), np.float32), fresh)
    folder.mkdir()
    save_params(folder / "params", params)
    both = {"state": stats(8), "actions": stats(7)}
    save_norm_stats(folder / "assets/physical-intelligence/libero/norm_stats.json", both)
    return words


def stats(width: int) -> NormStats:
    zeros = np.zeros(PADDED - width)
    return NormStats(*(np.concatenate([np.full(width, value), zeros]) for value in (0.0, 0.5, -1.0, 1.0)))
