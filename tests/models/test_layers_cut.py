"""A stack whose layers are cut apart once gives the bits of the stack that is sliced each time; a deep one stays as it is."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from pirig.models.layers import UNROLL_UP_TO, cut, run_layers


def layer(x, part):
    (weights, cached) = part
    return jnp.tanh(x @ weights["w"] + cached), x.sum()


def test_the_same_bits_cut_or_sliced():
    keys = jax.random.split(jax.random.key(0), 3)
    stacked = {"w": jax.random.normal(keys[0], (3, 8, 8))}
    cached, x = jax.random.normal(keys[1], (3, 8)), jax.random.normal(keys[2], (5, 8))
    sliced = jax.jit(lambda s: run_layers(layer, x, (s, cached), 3, remat=False))(stacked)
    apart = jax.jit(lambda s: run_layers(layer, x, (cut(s, 3), cached), 3, remat=False))(stacked)
    for one, other in zip(sliced, apart, strict=True):
        np.testing.assert_array_equal(one, other)


def test_bits_of_bfloat16_become_numbers():
    numbers = np.asarray(jnp.arange(4, dtype=jnp.bfloat16).reshape(2, 2))
    layers = cut({"w": jnp.asarray(numbers.view(np.uint16))}, 2)
    assert [part["w"].dtype for part in layers] == [jnp.bfloat16, jnp.bfloat16]
    np.testing.assert_array_equal(np.stack([part["w"] for part in layers]), numbers)


def test_a_stack_that_is_scanned_stays_a_stack():
    deep = {"w": jnp.zeros((UNROLL_UP_TO + 1, 2))}
    assert cut(deep, UNROLL_UP_TO + 1) is deep
