"""Cal-QL on chunks beside the same formula written out in plain numpy, the bound included."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pirig.config.critic import CriticConfig
from pirig.improving.critic.loss import Rows, candidates_of, conservative, critic_loss, target_of
from pirig.models.critic.layers import init_mlp
from pirig.models.critic.network import Scale, Seen, init_critic, values
from tests.compiling import unoptimised  # noqa: F401 - a fixture of every test here

BATCH, SAMPLES, CHUNK = 5, 3, (2, 2)
SETTINGS = CriticConfig(widths=[8], candidates=2, alpha=0.3, temperature=0.5, clip=0.4)
SCALE = Scale(np.float32([0.1, 0, -0.2]), np.float32([1, 2, 0.5]))


def drawn(seed):
    """A critic whose last layer is none of zeros."""
    params = init_critic(jax.random.key(seed), 3, CHUNK, SETTINGS.widths)
    out = jax.random.normal(jax.random.key(seed + 1), params["out"]["kernel"].shape)
    return {**params, "out": {**params["out"], "kernel": out}}


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.normal(size=shape).astype(np.float32)

    seen, after = (Seen(normal(BATCH, 2), normal(BATCH, 1)) for _ in range(2))
    chunks = [normal(BATCH, SAMPLES, *CHUNK) for _ in range(2)]
    reward = np.float32([0, 0, 1, 0, 0.9])
    discount = np.float32([0.9, 0.9, 0, 0.9, 0])
    to_go = np.float32([0.5, 0.0, 1, 0.7, 0.9])
    made = Rows(seen, normal(BATCH, *CHUNK), reward, discount, to_go, chunks[0], after, chunks[1])
    return jax.tree.map(jnp.asarray, made)


def by_hand(params, seen, chunks):
    """Each member's value of each chunk, row by row."""
    found = np.empty((2, *chunks.shape[:2]))
    for member in range(2):
        layer, out = ({name: np.asarray(leaf)[member] for name, leaf in params[part].items()} for part in params)
        for row in range(chunks.shape[0]):
            told = (np.concatenate([seen.features[row], seen.state[row]]) - SCALE.mean) / SCALE.std
            for place in range(chunks.shape[1]):
                x = np.concatenate([told, chunks[row, place].ravel()]) @ layer["kernel"] + layer["bias"]
                x = (x - x.mean()) / np.sqrt(x.var() + 1e-6) * layer["scale"] + layer["shift"]
                x = np.asarray(jax.nn.gelu(x))
                found[member, row, place] = (x @ out["kernel"] + out["bias"])[0]
    return found


def test_the_loss_is_the_formula_written_out(rows):
    params, target, key = drawn(0), drawn(7), jax.random.key(3)
    loss, numbers = jax.jit(lambda key: critic_loss(params, target, SCALE, rows, key, SETTINGS, 3.0))(key)
    uniform, here, there = (np.asarray(part) for part in candidates_of(key, rows, SETTINGS.candidates, 3.0))
    after = by_hand(target, rows.seen_next, rows.there).min(axis=0).mean(axis=1)
    wanted = np.clip(rows.reward + rows.discount * after, 0, 1)
    of_data = by_hand(params, rows.seen, rows.chunk[:, None])[..., 0]
    of_candidates = by_hand(params, rows.seen, np.concatenate([uniform, here, there], axis=1))
    total, apart, binding = 0.0, [], []
    for member in range(2):
        for row in range(BATCH):
            bounded = np.maximum(of_candidates[member, row], rows.return_to_go[row])
            together = np.append(bounded, of_data[member, row])
            soft = 0.5 * np.log(np.exp(together / 0.5).sum()) - 0.5 * np.log(len(together))
            apart.append(np.clip(soft - of_data[member, row], -0.4, 0.4))
            binding.append(of_candidates[member, row] < rows.return_to_go[row])
            total += (0.5 * (of_data[member, row] - wanted[row]) ** 2 + 0.3 * apart[-1]) / (2 * BATCH)
    np.testing.assert_allclose(loss, total, rtol=1e-4)
    np.testing.assert_allclose(numbers["conservative"], np.mean(apart), rtol=1e-4)
    np.testing.assert_allclose(numbers["bound_binds"], np.mean([one[2:] for one in binding]), rtol=1e-6)
    np.testing.assert_allclose(numbers["bound_binds_uniform"], np.mean([one[:2] for one in binding]), rtol=1e-6)
    np.testing.assert_allclose(numbers["q_data"], of_data.mean(), rtol=1e-4)
    np.testing.assert_allclose(numbers["q_policy"], of_candidates[..., 2:].mean(), rtol=1e-4)
    assert 0 < float(numbers["bound_binds"]) < 1 and float(numbers["clipped"]) > 0


def test_what_was_seen_to_be_possible_is_not_pressed_below():
    """No gradient reaches a candidate whose value is below the return; one above it is pressed down."""
    of_data, candidates, to_go = (jnp.float32(one) for one in ([[0.5]], [[[0.2, 0.8]]], [0.6]))
    slope = jax.grad(lambda q: conservative(of_data, q, to_go, 0.1)[0].sum())(candidates)
    assert slope[0, 0, 0] == 0 and slope[0, 0, 1] > 0.3


def test_the_next_value_is_the_mean_or_the_best_of_the_lower_member(rows):
    target = drawn(7)
    lower = np.asarray(values(target, SCALE, rows.seen_next, rows.there)).min(axis=0)
    for backup, after in (("mean", lower.mean(axis=1)), ("best", lower.max(axis=1))):
        wanted = np.clip(rows.reward + rows.discount * after, 0, 1)
        np.testing.assert_allclose(target_of(target, SCALE, rows, backup), wanted, rtol=1e-5)
    assert target_of(target, SCALE, rows, "mean")[2] == 1  # nothing comes after its success


def test_candidates_are_the_policys_own_and_within_the_bound(rows):
    uniform, here, there = candidates_of(jax.random.key(1), rows, 2, 0.5)
    assert uniform.shape == (BATCH, 2, *CHUNK) and float(np.abs(uniform).max()) <= 0.5
    for chosen, known in ((here, rows.here), (there, rows.there)):
        for row in range(BATCH):
            places = [
                np.flatnonzero((np.asarray(known[row]) == one).all(axis=(1, 2))) for one in np.asarray(chosen)[row]
            ]
            assert [len(place) for place in places] == [1, 1] and places[0] != places[1]


def test_a_network_starts_at_zero():
    params = init_mlp(jax.random.key(0), 4, [8, 8], 2)
    assert not np.any(params["out"]["kernel"]) and params["layer_1"]["kernel"].shape == (8, 8)
