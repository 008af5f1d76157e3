"""Range, type, independence and the identity cases of the augmentation."""

import jax
import jax.numpy as jnp
import numpy as np

from pirig.training.augment import augment, random_shift
from pirig.transforms.images import unit_range


def pictures(batch=6, px=16):
    return jnp.asarray(np.random.default_rng(0).integers(0, 256, (batch, px, px, 3)), jnp.uint8)


def test_range_shape_and_type():
    images = {"base_0_rgb": pictures(), "left_wrist_0_rgb": pictures()}
    result = jax.jit(lambda key, x: augment(key, x, 4))(jax.random.key(0), images)
    for role, values in result.items():
        assert values.shape == images[role].shape and values.dtype == jnp.float32
        assert float(values.min()) >= -1 and float(values.max()) <= 1
    assert not np.array_equal(result["base_0_rgb"], result["left_wrist_0_rgb"])


def test_shift_is_a_crop_of_the_edge_padded_image():
    images = np.asarray(pictures(1))
    shifted = np.asarray(random_shift(jax.random.key(3), jnp.asarray(images), 2))[0]
    padded = np.pad(images[0], ((2, 2), (2, 2), (0, 0)), mode="edge")
    crops = [padded[y : y + 16, x : x + 16] for y in range(5) for x in range(5)]
    assert any(np.array_equal(shifted, crop) for crop in crops)


def test_no_shift_keeps_the_pixels():
    images = pictures()
    assert random_shift(jax.random.key(0), images, 0) is images
    np.testing.assert_allclose(unit_range(images), np.asarray(images) / 255 * 2 - 1, atol=1e-6)
