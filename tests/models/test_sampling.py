"""Real-time chunking: the paper's mask and weights, and a flow whose answer is known, which the guide provably pulls."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pirig.models.sampling import STRONGEST, Guide, integrate, soft_mask, strength

MEAN, SPREAD = 0.5, 0.8  # of the toy's actions: independent and normal, so the best velocity is known in closed form


def velocity(x, time):
    """x = time * noise + (1 - time) * action -> E[noise - action | x]."""
    variance = time**2 + ((1 - time) * SPREAD) ** 2
    action = MEAN + (1 - time) * SPREAD**2 / variance * (x - (1 - time) * MEAN)
    return (x - action) / time


def guide_of(actions, rows):
    """`rows`: (delay, known) of each."""
    weights = np.stack([soft_mask(delay, known, actions.shape[1]) for delay, known in rows])
    return Guide(jnp.asarray(actions, jnp.float32), jnp.asarray(weights))


def test_the_mask_is_the_papers():
    """W of section 3.2 with H = 8, s = 3 (so 5 steps are known), d = 2."""
    part = np.array([(5 - step) / (5 - 2 + 1) for step in range(2, 5)])
    wanted = [1, 1, *(part * (np.exp(part) - 1) / (np.e - 1)), 0, 0, 0]
    np.testing.assert_allclose(soft_mask(2, 5, 8), wanted, rtol=1e-6)
    np.testing.assert_array_equal(soft_mask(8, 8, 16), [1] * 8 + [0] * 8)
    assert not soft_mask(0, 0, 8).any() and 0 < soft_mask(0, 4, 8)[0] < 1


def test_the_guidance_weight_is_the_papers_and_has_a_bound():
    for tau in (0.3, 0.5, 0.9):
        r2 = (1 - tau) ** 2 / (tau**2 + (1 - tau) ** 2)
        assert float(strength(jnp.float32(1 - tau))) == pytest.approx(min(STRONGEST, (1 - tau) / (tau * r2)), rel=1e-5)
    assert float(strength(jnp.ones(()))) == STRONGEST


def test_rows_have_masks_of_their_own_and_given_steps_come_out_as_given():
    noise = jax.random.normal(jax.random.key(1), (3, 8, 2))
    earlier = np.asarray(jax.random.normal(jax.random.key(2), (3, 8, 2)))
    guide = guide_of(earlier, [(0, 0), (2, 5), (4, 4)])
    guided = np.asarray(jax.jit(lambda x: integrate(velocity, x, 10, guide))(noise))
    plain = np.asarray(integrate(velocity, noise, 10))
    np.testing.assert_allclose(guided[0], plain[0], rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(guided[1, :2], earlier[1, :2])
    np.testing.assert_array_equal(guided[2, :4], earlier[2, :4])
    np.testing.assert_allclose(guided[1, 5:], plain[1, 5:], rtol=1e-5)  # behind the earlier chunk's end nothing pulls


def test_the_guide_pulls_towards_the_earlier_chunk_and_the_nearer_steps_harder():
    """Each step is its own here and everything is linear: guided = share * earlier + (1 - share) * MEAN + less noise."""
    noise = jax.random.normal(jax.random.key(3), (64, 8, 2))

    def towards(value):
        guide = guide_of(np.full((64, 8, 2), value), [(0, 7)] * 64)
        return np.asarray(integrate(velocity, noise, 20, guide))

    shares = towards(MEAN + 1.0) - towards(MEAN)
    assert np.ptp(shares, axis=(0, 2)).max() < 1e-5
    share = shares.mean(axis=(0, 2))
    assert 0.5 < share[0] < 1 and (np.diff(share) < 0).all() and share[7] == 0
    spread = towards(MEAN).std(axis=(0, 2)) / np.asarray(integrate(velocity, noise, 20)).std(axis=(0, 2))
    assert (np.diff(spread) > 0).all() and spread[7] == pytest.approx(1, abs=1e-5)


def test_steps_that_belong_together_follow_the_given_ones():
    """Actions that all equal one normal number: given two of them, the free ones end near, though nothing weighs them."""

    def together(x, time):
        mean, count = x.mean(axis=1, keepdims=True), x.shape[1]
        variance = time**2 / count + (1 - time) ** 2
        action = jnp.broadcast_to((1 - time) / variance * mean, x.shape)
        return (x - action) / time

    noise = jax.random.normal(jax.random.key(5), (256, 8, 1))
    earlier = np.full((256, 8, 1), 1.5)
    guide = guide_of(earlier, [(2, 2)] * 256)
    plain, guided = (np.asarray(integrate(together, noise, 20, each)) for each in (None, guide))
    assert np.abs(plain[:, 2:] - 1.5).mean() > 1.2
    assert np.abs(guided[:, 2:] - 1.5).mean() < 0.5 * np.abs(plain[:, 2:] - 1.5).mean()
