"""Rewards, discounts and returns of made-up episodes, against sums written out."""

import numpy as np
import pytest

from pirig.improving.transitions import Steps, Transitions, joined, of_episode
from pirig.models.critic.network import BOUND

GAMMA, H = 0.9, 3


def steps(count, reward, succeeded):
    random = np.random.default_rng(count)
    features, state = random.standard_normal((2, count, 5), np.float32)
    chunks = 4 * random.standard_normal((count, H, 2)).astype(np.float32)
    return Steps(features, state[:, :4], chunks, np.array(reward, np.float32), succeeded)


def test_a_success_ends_with_its_last_step():
    rows = of_episode(steps(5, [-1, -1, -1, -1, 9], True), GAMMA)
    assert rows.features.shape == (5, 5) and rows.state.shape == (5, 4) and rows.chunk.shape == (5, H, 2)
    assert np.abs(rows.chunk).max() == BOUND
    np.testing.assert_array_equal(rows.next_row, [3, 4, 2, 3, 4])
    np.testing.assert_allclose(rows.discount, [GAMMA**3, GAMMA**3, 0, 0, 0])
    once = -1 - GAMMA
    np.testing.assert_allclose(rows.reward[[0, 2, 4]], [once - GAMMA**2, once + 9 * GAMMA**2, 9], rtol=1e-6)
    np.testing.assert_allclose(rows.return_to_go[3:], [-1 + 9 * GAMMA, 9], rtol=1e-6)


def test_a_failure_goes_on_failing():
    rows = of_episode(steps(4, [-1, -1, -1, -1], False), GAMMA)
    np.testing.assert_allclose(rows.return_to_go, -10.0, rtol=1e-6)
    np.testing.assert_allclose(rows.reward, [-1 - GAMMA - GAMMA**2, -10, -10, -10], rtol=1e-6)
    assert (of_episode(steps(4, [0, 0, 0, 0], False), GAMMA).return_to_go == 0).all()


def test_returns_are_what_following_the_rows_gives():
    rows = joined([of_episode(steps(7, [-1] * 6 + [5], True), GAMMA), of_episode(steps(8, [-1] * 8, False), GAMMA)])
    followed = rows.reward + rows.discount * rows.return_to_go[rows.next_row]
    np.testing.assert_allclose(followed, rows.return_to_go, rtol=1e-5)
    assert rows.next_row[7] == 10 and len(rows) == 15


def test_what_does_not_fit_is_said():
    with pytest.raises(ValueError, match="no transitions"):
        joined([])
    one = of_episode(steps(4, [0] * 4, True), GAMMA)
    with pytest.raises(ValueError, match="different widths"):
        joined([one, Transitions(**{**vars(one), "state": one.state[:, :2]})])
    with pytest.raises(ValueError, match="different lengths"):
        Transitions(**{**vars(one), "reward": one.reward[:2]})
    with pytest.raises(ValueError, match="next_row from 9 to 12 in transitions of 4 rows"):
        Transitions(**{**vars(one), "next_row": np.arange(4) + 9})
