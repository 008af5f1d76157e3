"""A better start for models that are trained from scratch on little data; checkpoints never come here.

openpi's own start leaves a small model to find out where each patch lies, that neighbouring state bins are neighbours, and that
one token of some hundred is the state. Here the tower starts as its own `fresh` says and the tokens of the state's bins with
sines of the bin's number; `look_at_state` is for trainings in which much depends on pi0's state token.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from pirig.models.layout import Tree, init_params
from pirig.models.sizes import ModelConfig
from pirig.models.towers.door import tower_named
from pirig.models.waves import waves
from pirig.transforms.tokenizer import FIRST_STATE, STATE_BINS, VOCAB_SIZE

STATE_MARK, ACTION_MARK = 1.0, 0.5  # of a token's numbers, which are about 1 and 0.5 themselves
NORMED = 0.7  # of a mark, about so much is left in a token that is normed
LOGIT = 5.0  # of the state's token, beside 0 of a hundred others: about half of what is looked at


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


def look_at_state(params: Tree, config: ModelConfig) -> Tree:
    """Fresh parameters of a pi0 whose actions look at the state from the start; pi0.5 reads it in words, its own stay.

    The state's token and those of the actions get a mark each by their biases; in every layer the first head's queries answer the
    one, and the keys the other, in the number of a head that turns least with the position.
    """
    if config.pi05:
        return params
    params = jax.tree.map(lambda leaf: leaf, params)  # dicts of its own
    width, size = config.expert.width, config.expert.head_dim
    of_state, of_actions = jnp.ones(width), jnp.where(jnp.arange(width) % 2, 1.0, -1.0)
    for name, mark in (("state_proj", STATE_MARK * of_state), ("action_time_mlp_out", ACTION_MARK * of_actions)):
        params[name]["bias"] = params[name]["bias"] + mark
    gain, slow = (LOGIT * size**0.5) ** 0.5 / (NORMED * width), size // 2 - 1
    attn = params["PaliGemma"]["llm"]["layers"]["attn"]
    attn["q_einsum_1"]["w"] = attn["q_einsum_1"]["w"].at[:, 0, :, slow].add(gain * of_actions)
    attn["kv_einsum_1"]["w"] = attn["kv_einsum_1"]["w"].at[:, 0, 0, :, slow].add(gain * of_state)
    return params
