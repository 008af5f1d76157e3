"""Heat maps are taught where things are: the loss is least where a map's expected place is the thing's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pirig.training.heat import off_place

SIDE = 8


def best_for(places, maps):
    """Log heat maps [1, batch, SIDE, SIDE, maps] that plain gradient descent finds for these places."""
    logits = jnp.zeros((1, len(places), SIDE, SIDE, maps))

    def loss(logits):
        return off_place(as_maps(logits), jnp.asarray(places)).sum()

    step = jax.jit(lambda logits: logits - 5.0 * jax.grad(loss)(logits))
    for _ in range(400):
        logits = step(logits)
    return as_maps(logits)


def as_maps(logits):
    flat = logits.reshape(*logits.shape[:2], SIDE * SIDE, -1)
    return jax.nn.log_softmax(flat, axis=2).reshape(logits.shape)


def expected(log_heat):
    middles = (2 * np.arange(SIDE) + 1) / SIDE - 1
    heat = np.exp(np.asarray(log_heat))
    return np.stack([np.einsum("cbyxm,x->cbm", heat, middles), np.einsum("cbyxm,y->cbm", heat, middles)], axis=-1)


def test_a_map_that_is_taught_expects_the_thing_where_it_is_between_cells():
    places = np.random.default_rng(0).uniform(-0.85, 0.85, (5, 2, 1, 2)).astype(np.float32)
    learned = expected(best_for(places, maps=2))[0]
    assert np.abs(learned - places[:, :, 0]).max() < 0.02  # a cell is 0.25 wide


def test_what_no_picture_shows_is_not_asked_and_maps_beyond_the_things_are_free():
    places = np.zeros((3, 2, 2, 2), np.float32)
    places[0], places[1, :, 1], places[2, 0] = np.nan, 1.5, np.nan
    log_heat = as_maps(jax.random.normal(jax.random.key(0), (2, 3, SIDE, SIDE, 4)))
    missed, gradient = jax.value_and_grad(lambda maps: off_place(maps, jnp.asarray(places)).sum())(log_heat)
    asked = np.abs(np.asarray(gradient)).sum(axis=(2, 3)) > 0  # camera, sample, map
    assert np.isfinite(missed)
    wanted = np.zeros((2, 3, 4), bool)
    wanted[0, 1, :2], wanted[:, 2, 1] = True, True
    np.testing.assert_array_equal(asked, wanted)
    assert float(off_place(log_heat, jnp.asarray(places))[0]) == 0


def test_things_without_a_map_are_left_out():
    places = np.zeros((1, 3, 1, 2), np.float32)
    log_heat = as_maps(jnp.zeros((1, 1, SIDE, SIDE, 2)))
    assert float(off_place(log_heat, jnp.asarray(places))[0]) == pytest.approx(2 * np.log(SIDE), rel=1e-5)
