"""Models from scratch start ordered: same tree as openpi's, neighbours alike, the state looked at."""

import jax
import jax.numpy as jnp
import numpy as np

from pirig.config.schema import TrainConfig
from pirig.models.flow import ModelInputs
from pirig.models.layout import flatten, init_params
from pirig.models.pi0 import encode_prefix, predict_velocity
from pirig.models.scratch import fresh_params, look_at_state
from pirig.models.sizes import model_config
from pirig.training.loop import initial_params
from pirig.transforms.tokenizer import FIRST_STATE, STATE_BINS


def tiny(pi05=True):
    return model_config(
        pi05=pi05, size="tiny", lora=False, action_dim=8, action_horizon=4, max_token_len=32, image_px=64, patch_px=8
    )  # fmt: skip


def test_only_three_leaves_differ_from_openpis_start():
    key = jax.random.key(1)
    plain, fresh = (flatten(make(key, tiny())) for make in (init_params, fresh_params))
    assert {path: (leaf.shape, leaf.dtype) for path, leaf in plain.items()} == {
        path: (leaf.shape, leaf.dtype) for path, leaf in fresh.items()
    }
    changed = {path for path in plain if not jnp.array_equal(plain[path], fresh[path])}
    table = "PaliGemma/llm/embedder/input_embedding"
    assert changed == {"PaliGemma/img/pos_embedding", "PaliGemma/img/head/kernel", table}
    rows = np.flatnonzero((np.asarray(plain[table]) != np.asarray(fresh[table])).any(axis=1))
    assert (rows.min(), rows.max(), len(rows)) == (FIRST_STATE, FIRST_STATE + STATE_BINS - 1, STATE_BINS)
    assert 0.5 < jnp.std(fresh[table][rows]) / jnp.std(plain[table][rows]) < 2


def test_neighbouring_bins_and_patches_start_alike_and_all_differ():
    params = fresh_params(jax.random.key(0), tiny())
    bins = params["PaliGemma"]["llm"]["embedder"]["input_embedding"][FIRST_STATE : FIRST_STATE + STATE_BINS]
    places = params["PaliGemma"]["img"]["pos_embedding"][0]
    for rows, step, far in ((bins, 1, 128), (places, 1, 7), (places, 8, 56)):  # 8 patches in a row of patches
        apart = np.linalg.norm(np.asarray(rows)[:, None] - np.asarray(rows)[None], axis=-1)
        assert apart[0, step] < 0.9 * apart[0, far]
        assert (apart + np.eye(len(rows)) * 9 > 1e-4).all()


def test_what_the_state_says_counts_from_the_start():
    """openpi's own start looks at the state's token as at any other of a hundred."""
    config, batch = tiny(pi05=False), 4
    images, words, chunk, state = (
        jax.random.normal(jax.random.key(number), shape)
        for number, shape in enumerate([(batch, 64, 64, 3), (batch, 20), (batch, 1, 4, 8), (batch, 8)])
    )
    shown = {role: images for role in ("base_0_rgb", "left_wrist_0_rgb")}
    inputs = ModelInputs(
        images=shown, image_masks=dict.fromkeys(shown, jnp.ones(batch, bool)), state=state,
        tokens=(jnp.abs(words) * 100).astype(jnp.int32), token_mask=jnp.ones((batch, 20), bool),
    )  # fmt: skip
    fresh, moves = fresh_params(jax.random.key(5), config), []
    for params in (jax.tree.map(jnp.array, fresh), look_at_state(fresh, config)):
        prefix, time = encode_prefix(params, config, inputs), jnp.full((batch, 1), 0.5)
        one, other = (predict_velocity(params, config, told, prefix, chunk, time) for told in (state, state + 1))
        moves.append(float(jnp.abs(other - one).mean() / one.std()))
    assert moves[1] > 2.5 * moves[0]


def test_a_start_that_looks_at_the_state_has_openpis_tree_too():
    key, config = jax.random.key(1), tiny(pi05=False)
    plain, looks = flatten(fresh_params(key, config)), flatten(look_at_state(fresh_params(key, config), config))
    assert {path: leaf.shape for path, leaf in plain.items()} == {path: leaf.shape for path, leaf in looks.items()}
    attn = "PaliGemma/llm/layers/attn"
    assert {path for path in plain if not jnp.array_equal(plain[path], looks[path])} == {
        f"{attn}/q_einsum_1/w", f"{attn}/kv_einsum_1/w", "state_proj/bias", "action_time_mlp_out/bias",
    }  # fmt: skip


def test_pi05_reads_its_state_in_words():
    params = fresh_params(jax.random.key(1), tiny())
    assert look_at_state(params, tiny()) is params


def test_a_training_with_corrective_noise_starts_so():
    config = tiny(pi05=False)
    usual, looks = (initial_params(TrainConfig(corrective_noise_m=noise), config) for noise in (0.0, 0.02))
    wanted = look_at_state(usual, config)["state_proj"]["bias"]
    np.testing.assert_array_equal(looks["state_proj"]["bias"], wanted)
    assert np.asarray(wanted).all()
