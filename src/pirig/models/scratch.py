"""A better start for models that are trained from scratch on little data; checkpoints never come here.

openpi's own start leaves a small model to find out where each patch lies and that neighbouring state bins are neighbours.
Here patches start with sines of their row and column, the tokens of the state's bins with sines of the bin's number, and
the image tokens are seen from the first step on (openpi's head starts at zero).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from pirig.models.layout import Tree, init_params
from pirig.models.sizes import ModelConfig
from pirig.transforms.tokenizer import FIRST_STATE, STATE_BINS, VOCAB_SIZE


def fresh_params(key: jax.Array, config: ModelConfig) -> Tree:
    """Fresh float32 parameters of a model that has no weights to start from."""
    params = init_params(key, config)
    vision, embedder = params["PaliGemma"]["img"], params["PaliGemma"]["llm"]["embedder"]
    side = config.image.image_px // config.image.patch_px
    rows, columns = jnp.divmod(jnp.arange(side * side), side)
    half = config.image.width // 2
    by_row, by_column = waves(side, half), waves(side, config.image.width - half)
    vision["pos_embedding"] = 0.5 * jnp.concatenate([by_row[rows], by_column[columns]], axis=-1)[None]
    width = vision["head"]["kernel"].shape[0]
    vision["head"]["kernel"] = jax.random.normal(key, vision["head"]["kernel"].shape) * width**-0.5
    if config.vocab_size == VOCAB_SIZE:  # the built-in tokenizer
        table = embedder["input_embedding"]
        numbers = waves(STATE_BINS, table.shape[-1])
        embedder["input_embedding"] = table.at[FIRST_STATE : FIRST_STATE + STATE_BINS].set(0.014 * numbers)
    return params


def waves(count: int, width: int) -> jax.Array:
    """Sines and cosines of each of `count` places in a row [count, width]: from half a period over all of them to two
    places a period, in geometric steps."""
    pairs = (width + 1) // 2
    periods = 0.5 * max(count, 2) ** (jnp.arange(pairs) / max(pairs - 1, 1))
    angles = 2 * jnp.pi * (jnp.arange(count) / count)[:, None] * periods
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)[:, :width]
