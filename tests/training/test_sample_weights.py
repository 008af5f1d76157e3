"""How much each frame counts: a file of exactly these frames, multiplied into the flow loss, whatever else is trained."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pirig.training import sample_weights
from pirig.training.batches import BatchSettings, prepare
from pirig.training.losses import Losses, auxiliary_losses
from pirig.training.step import init_state, inputs_of, make_gradient
from tests.compiling import unoptimised  # noqa: F401 - a fixture of every test here
from tests.training.test_losses import LABELS


@pytest.fixture
def file(small, tmp_path):
    weights = np.linspace(0, 2, small.dataset.frame_count, dtype=np.float32)
    sample_weights.save(tmp_path / "weights.npz", weights, small.dataset.actions)
    return tmp_path / "weights.npz"


def batch_of(small, labels=(), **more):
    settings = BatchSettings(batch_size=4, seed=0, **more)
    batches = prepare(small.pipeline, small.dataset, small.dataset.frames, settings, labels=labels)
    return batches, jax.tree.map(jnp.asarray, batches.batch(0))


def gradient_of(small, losses, batch, labels, **changes):
    settings, config = dataclasses.replace(small.settings, **changes), small.pipeline.model_config
    params = small.model.init_params(jax.random.key(0), config)
    heads = losses.init_heads(jax.random.key(1), params, config, inputs_of(batch, batch["images"]), labels)
    state = init_state(params, settings, jax.random.key(2), heads=heads)
    trained = {**state.params, "heads": state.heads} if heads else state.params
    return make_gradient(config, settings, losses)(trained, {}, batch, jax.random.key(5))


def test_a_batch_holds_the_weights_of_its_frames_and_without_a_file_none(small, file):
    batches, batch = batch_of(small, sample_weights=str(file))
    np.testing.assert_array_equal(
        batch["weights"], sample_weights.load(file, small.dataset.actions)[batches.indices(0)]
    )
    assert "weights" not in batch_of(small)[1]


def test_weights_of_one_change_nothing_and_a_row_of_weight_0_has_no_part(small, file):
    losses = Losses(small.model)
    _, batch = batch_of(small)
    plain, ones = (
        gradient_of(small, losses, one, {}) for one in (batch, {**batch, "weights": jnp.ones(4, jnp.float32)})
    )
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7), plain, ones)
    weights = jnp.float32([0, 2, 1, 1])
    moved = batch["actions"].at[0].add(5.0)
    pair = [
        gradient_of(small, losses, {**batch, "weights": weights, "actions": one}, {})
        for one in (batch["actions"], moved)
    ]
    jax.tree.map(np.testing.assert_array_equal, *pair)


def test_in_parts_and_with_heads_the_gradient_is_the_same(small, file):
    losses = Losses(small.model, auxiliary_losses(LABELS, small.dataset.labels))
    batches, batch = batch_of(small, losses.labels, sample_weights=str(file))
    whole, parts = (
        gradient_of(small, losses, batch, batches.labels, accumulate=count, flow_samples=3) for count in (1, 2)
    )
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-6), whole, parts)
    alike = gradient_of(
        small, losses, {name: part for name, part in batch.items() if name != "weights"}, batches.labels
    )
    assert float(whole[0]["cube_loss"]) == pytest.approx(float(alike[0]["cube_loss"]), rel=1e-5)


def test_a_training_follows_them(small, tmp_path):
    """Where no frame counts, there is nothing to learn."""
    none = np.zeros(small.dataset.frame_count, np.float32)
    sample_weights.save(tmp_path / "none.npz", none, small.dataset.actions)
    small.train(tmp_path / "run", sample_weights=str(tmp_path / "none.npz"), steps=2, decay_steps=9)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["loss"] for row in rows] == [0, 0]


def test_another_data_sets_weights_and_no_file_are_refused(small, file, tmp_path):
    with pytest.raises(ValueError, match=r"weights of other frames than the \d+ of this data set"):
        sample_weights.load(file, small.dataset.actions + 1)
    with pytest.raises(ValueError, match=r"none\.npz: no weights there"):
        sample_weights.load(tmp_path / "none.npz", small.dataset.actions)
    bad = np.full(small.dataset.frame_count, -1, np.float32)
    sample_weights.save(tmp_path / "bad.npz", bad, small.dataset.actions)
    with pytest.raises(ValueError, match="not finite or below 0"):
        sample_weights.load(tmp_path / "bad.npz", small.dataset.actions)
