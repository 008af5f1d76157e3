"""A better start for models that are trained from scratch on little data; checkpoints never come here.

openpi's own start leaves a small model to find out where each patch lies and that neighbouring state bins are neighbours.
Here the tower starts as its own `fresh` says, and the tokens of the state's bins with sines of the bin's number.
"""

from __future__ import annotations

import jax

from pirig.models.layout import Tree, init_params
from pirig.models.sizes import ModelConfig
from pirig.models.towers.door import tower_named
from pirig.models.waves import waves
from pirig.transforms.tokenizer import FIRST_STATE, STATE_BINS, VOCAB_SIZE


def fresh_params(key: jax.Array, config: ModelConfig) -> Tree:
    """Fresh float32 parameters of a model that has no weights to start from."""
    params, tower = init_params(key, config), tower_named(config.tower)
    params = tower.put(params, tower.fresh(key, config.image, tower.of(params)))
    if config.vocab_size == VOCAB_SIZE:  # the built-in tokenizer
        embedder = params["PaliGemma"]["llm"]["embedder"]
        table = embedder["input_embedding"]
        numbers = waves(STATE_BINS, table.shape[-1])
        embedder["input_embedding"] = table.at[FIRST_STATE : FIRST_STATE + STATE_BINS].set(0.014 * numbers)
    return params
