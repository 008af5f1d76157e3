"""Models from scratch start ordered: same tree as openpi's, neighbours alike."""

import jax
import jax.numpy as jnp
import numpy as np

from pirig.models.layout import flatten, init_params
from pirig.models.scratch import fresh_params
from pirig.models.sizes import model_config
from pirig.transforms.tokenizer import FIRST_STATE, STATE_BINS


def tiny():
    return model_config(
        pi05=True, size="tiny", lora=False, action_dim=8, action_horizon=4, max_token_len=32, image_px=64, patch_px=8
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
