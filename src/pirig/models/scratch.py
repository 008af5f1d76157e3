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
from pirig.models.tokenizer import FIRST_STATE, STATE_BINS

SPREAD = 64.0  # longest wavelength over the shortest


def fresh_params(key: jax.Array, config: ModelConfig) -> Tree:
    """Fresh float32 parameters of a model that has no weights to start from."""
    params = init_params(key, config)
    vision, embedder = params["PaliGemma"]["img"], params["PaliGemma"]["llm"]["embedder"]
    side = config.image.image_px // config.image.patch_px
    rows, columns = jnp.divmod(jnp.arange(side * side), side)
    half = config.image.width // 2
    places = jnp.concatenate([waves(rows / side, half), waves(columns / side, config.image.width - half)], axis=-1)
    vision["pos_embedding"] = 0.5 * places[None]
    width = vision["head"]["kernel"].shape[0]
    vision["head"]["kernel"] = jax.random.normal(key, vision["head"]["kernel"].shape) * width**-0.5
    if config.vocab_size >= FIRST_STATE + STATE_BINS:
        table = embedder["input_embedding"]
        numbers = waves(jnp.arange(STATE_BINS) / STATE_BINS, table.shape[-1])
        embedder["input_embedding"] = table.at[FIRST_STATE : FIRST_STATE + STATE_BINS].set(0.014 * numbers)
    return params


def waves(place: jax.Array, width: int) -> jax.Array:
    """[N] in 0..1 -> [N, width] sines and cosines of it, from half a period over the range to SPREAD / 2 periods."""
    count = (width + 1) // 2
    periods = SPREAD ** (jnp.arange(count) / max(count - 1, 1))
    angles = jnp.pi * place[:, None] * periods
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)[:, :width]
