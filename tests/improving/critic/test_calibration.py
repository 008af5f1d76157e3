"""Predicted value beside what happened: bins, ranks with their interval, and who may not be used."""

import dataclasses

import numpy as np
import pytest

from pirig.improving.critic import calibration, plot
from pirig.improving.critic.calibration import Bin, Calibration, auc_interval, bins, ranking, require_calibrated
from pirig.improving.critic.experience import held_out_episodes

KNOWN = np.array([True] * 6 + [False] * 4)


def test_ranks_count_pairs_and_half_of_the_equal_ones():
    scores = np.array([0.9, 0.5, 0.5, 0.1])
    found = ranking(scores, np.array([True, True, False, False]))
    assert found.auc == (4 - 0.5) / 4
    assert ranking(scores, np.ones(4, bool)) is None


@pytest.mark.parametrize(("auc", "good", "bad"), [(0.5, 20, 20), (0.81, 31, 29), (1.0, 5, 5), (0.0, 4, 9)])
def test_the_interval_holds_what_lies_less_than_two_errors_away(auc, good, bad):
    low, high = auc_interval(auc, good, bad)
    assert 0 <= low <= auc <= high <= 1 and high - low > 0.1
    more = auc_interval(auc, 10 * good, 10 * bad)
    assert low <= more[0] <= more[1] <= high and more[1] - more[0] < 0.6 * (high - low)
    np.testing.assert_allclose(auc_interval(1 - auc, bad, good), (1 - high, 1 - low), atol=1e-9)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng, shift, held = np.random.default_rng(0), 0.8, 0
    truth = 0.7141961  # of two unit normals so far apart: Phi(0.8 / sqrt 2)
    for _ in range(300):
        good, bad = rng.normal(shift, 1, 25), rng.normal(0, 1, 25)
        found = ranking(np.concatenate([good, bad]), np.arange(50) < 25)
        held += found.low <= truth <= found.high
    assert 0.92 <= held / 300 <= 0.99


def test_bins_say_what_was_predicted_and_what_happened():
    found = bins(np.array([0.05, 0.07, 0.55, 1.2, -0.1]), np.array([0.0, 0.2, 0.5, 1.0, 0.0]))
    assert [(one.low, one.n) for one in found] == [(0.0, 3), (0.5, 1), (0.9, 1)]
    assert found[0].happened == pytest.approx(0.2 / 3) and found[2] == Bin(0.9, 1, 1.2, 1.0)


def test_a_share_of_both_kinds_is_held_out():
    everyone = np.ones(10, bool)
    chosen = held_out_episodes(KNOWN, everyone, 0.3, seed=4)
    assert KNOWN[chosen].sum() == 2 and (~KNOWN[chosen]).sum() == 1
    np.testing.assert_array_equal(chosen, held_out_episodes(KNOWN, everyone, 0.3, seed=4))
    lone = held_out_episodes(np.array([True, False, False]), everyone[:3], 0.1, 0)
    assert list(lone > 0) == [True]  # a lone success stays


def test_demos_are_never_held_out():
    """They succeed: who told them from failures would know who acted, and no more."""
    own = np.arange(10) >= 3
    for seed in range(20):
        chosen = held_out_episodes(KNOWN, own, 0.4, seed)
        assert own[chosen].all() and KNOWN[chosen].sum() == 1 and (~KNOWN[chosen]).sum() == 2


def of_scores(scores):
    return Calibration(50, 6, 4, 0.5, 0.1, ranking(np.asarray(scores, float), KNOWN), None, [Bin(0.0, 3, 0.05, 0.1)])


def test_who_does_not_tell_success_from_failure_is_refused_unless_told_otherwise():
    skilled, chance = of_scores([9, 8, 7, 6, 5, 4, 3, 2, 1, 0]), of_scores([9, 0, 7, 6, 1, 4, 3, 2, 5, 8])
    require_calibrated(skilled, unskilled=False)
    with pytest.raises(ValueError, match=r"in \d+% of the pairs of 6 successes and 4 failures .* interval above 50 %"):
        require_calibrated(chance, unskilled=False)
    require_calibrated(chance, unskilled=True)
    with pytest.raises(ValueError, match=r"without both nothing says .* improve\.critic\.unskilled=true"):
        require_calibrated(dataclasses.replace(skilled, ranking=None, failures=0), unskilled=False)


def test_it_is_kept_and_drawn(tmp_path):
    told = of_scores(range(10))
    told.save(tmp_path)
    assert calibration.load(tmp_path) == told
    plot.draw(told, tmp_path / "calibration.png", "privileged")
    assert (tmp_path / "calibration.png").read_bytes()[:4] == b"\x89PNG"
