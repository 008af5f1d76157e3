"""What pi0 leaves out changes nothing: absent cameras, padding, float images, a prefix per draw."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pirig.models import layers, pi0
from tests.golden.variant import read_arrays, read_batch, read_config, read_params

HERE = Path(__file__).parents[1] / "golden"
TOLERANCE = 2e-5
BASE = "base_0_rgb"


@pytest.fixture(scope="module", params=["pi0_ad32", "pi05_ad32"])
def golden(request):
    """(params, config, batch) of a recorded variant; the batch as openpi would feed it for one camera."""
    config = read_config(HERE / "variants" / f"{request.param}.json", 224)
    params = read_params(HERE / "data" / f"model_{request.param}_params.npz", config)
    batch = read_batch(read_arrays(HERE / "data" / "model_inputs.npz"), config)
    images = {name: image if name == BASE else jnp.zeros_like(image) for name, image in batch.inputs.images.items()}
    masks = {name: jnp.full(2, name == BASE) for name in images}
    return params, config, batch._replace(inputs=batch.inputs._replace(images=images, image_masks=masks))


@pytest.fixture(scope="module")
def alone(golden):
    """The results for one camera that is alone in the inputs."""
    return results(golden, only_base(golden[2].inputs))


def only_base(inputs):
    return inputs._replace(images={BASE: inputs.images[BASE]}, image_masks={BASE: inputs.image_masks[BASE]})


def results(golden, inputs):
    """Loss [B, A] and actions [B, A, J] after three Euler steps."""
    params, config, batch = golden

    @jax.jit
    def run(params, inputs):
        loss = pi0.compute_loss(params, config, inputs, batch.actions, noise=batch.noise, flow_time=batch.flow_time)
        return loss, pi0.sample_actions(params, config, inputs, noise=batch.noise, steps=3)

    return run(params, inputs)


def assert_same(one, other):
    for got, expected in zip(one, other, strict=True):
        np.testing.assert_allclose(got, expected, atol=TOLERANCE, rtol=0)


def test_absent_cameras_equal_black_masked_ones(golden, alone):
    assert_same(alone, results(golden, golden[2].inputs))


def test_no_camera_at_all_equals_three_masked_ones(golden):
    inputs = golden[2].inputs
    masks = {name: jnp.zeros(2, bool) for name in inputs.image_masks}
    without, masked = inputs._replace(images={}, image_masks={}), inputs._replace(image_masks=masks)
    assert_same(results(golden, without), results(golden, masked))


def test_shorter_padding_of_the_prompt_changes_nothing(golden, alone):
    inputs = only_base(golden[2].inputs)
    longer = 48 - inputs.tokens.shape[1]
    padded = inputs._replace(
        tokens=jnp.pad(inputs.tokens, ((0, 0), (0, longer))),
        token_mask=jnp.pad(inputs.token_mask, ((0, 0), (0, longer))),
    )
    assert_same(alone, results(golden, padded))


def test_uint8_images_equal_floats(golden, alone):
    inputs = only_base(golden[2].inputs)
    image = np.asarray(inputs.images[BASE]).astype(np.float32) / 255.0 * 2.0 - 1.0
    assert inputs.images[BASE].dtype == jnp.uint8
    assert_same(alone, results(golden, inputs._replace(images={BASE: jnp.asarray(image)})))


def test_draws_that_share_a_prefix_equal_separate_losses(golden):
    params, config, batch = golden
    inputs = only_base(batch.inputs)
    noise, time = pi0.draw_noise_and_time(jax.random.key(5), (3, *batch.actions.shape))

    @jax.jit
    def loss(noise, time):
        return pi0.compute_loss(params, config, inputs, batch.actions, noise=noise, flow_time=time)

    together = loss(noise, time)
    apart = jnp.stack([loss(noise[draw], time[draw]) for draw in range(3)])
    np.testing.assert_allclose(together, apart, atol=TOLERANCE, rtol=0)


def test_remat_and_scan_change_nothing(golden, alone, monkeypatch):
    params, config, batch = golden
    monkeypatch.setattr(layers, "UNROLL_UP_TO", 0)
    assert_same(results((params, replace(config, remat=True), batch), only_base(batch.inputs)), alone)


def test_many_chunks_share_one_prefix_and_features_hold_only_what_is_valid(golden, alone):
    """Each chunk is that of its noise alone, and the features do not know what padding says."""
    params, config, batch = golden
    noise = jnp.stack([batch.noise, jnp.flip(batch.noise, axis=1)])
    run = jax.jit(lambda params, inputs: pi0.sample_with_features(params, config, inputs, noise=noise, steps=3))
    inputs = only_base(batch.inputs)
    padded = inputs._replace(tokens=jnp.where(inputs.token_mask, inputs.tokens, 7))
    assert not inputs.token_mask.all() and (padded.tokens != inputs.tokens).any()
    (features, chunks), (others, _) = run(params, inputs), run(params, padded)
    np.testing.assert_allclose(chunks[0], alone[1], atol=TOLERANCE, rtol=0)
    assert not np.allclose(chunks[1], alone[1], atol=1e-2)
    assert features.shape == (2, config.vlm.width) and features.dtype == jnp.float32
    np.testing.assert_allclose(features, others, atol=TOLERANCE, rtol=0)
    assert float(jnp.abs(features[0] - features[1]).max()) > 1e-3
