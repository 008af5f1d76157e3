"""Verdicts on success counts, against scipy, published values and exact power."""

import math

import pytest

from pirig.comparison.statistics import ALPHA, compare_counts, episodes_needed, fisher_exact, holm, rounded


@pytest.mark.parametrize(
    ("counts", "p"),
    [
        ((3, 4, 1, 4), 0.485714),  # Fisher's lady tasting tea, two-sided
        ((10, 12, 3, 12), 0.012278),
        ((3, 20, 0, 20), 0.230769),
        ((1, 40, 35, 40), 1.0e-15),
        ((0, 20, 0, 50), 1.0),
        ((40, 40, 40, 40), 1.0),
    ],
)
def test_fisher_of_known_tables(counts, p):
    found = fisher_exact(*counts)
    assert found <= p if p < 1e-10 else found == pytest.approx(p, abs=2e-6)


def test_fisher_equals_scipy():
    stats = pytest.importorskip("scipy.stats")
    for n1, n2 in ((1, 1), (5, 9), (20, 40), (40, 40), (50, 300), (1000, 1000)):
        for k1 in range(0, n1 + 1, max(1, n1 // 4)):
            for k2 in range(0, n2 + 1, max(1, n2 // 4)):
                theirs = stats.fisher_exact([[k1, n1 - k1], [k2, n2 - k2]])[1]
                assert fisher_exact(k1, n1, k2, n2) == pytest.approx(theirs, rel=1e-8, abs=1e-300)


def exact_power(share1, share2, n):
    """The chance that n episodes of each policy end in `differ`, by all outcomes."""

    def chances(share):
        return [math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1)]

    left, right = chances(share1), chances(share2)
    return sum(
        a * b
        for k1, a in enumerate(left)
        for k2, b in enumerate(right)
        if a * b > 1e-9 and fisher_exact(k1, n, k2, n) < ALPHA
    )


@pytest.mark.parametrize(("share1", "share2"), [(0.15, 0.0), (0.3, 0.6), (0.5, 0.9)])
def test_as_many_episodes_as_said_find_the_difference_four_times_of_five(share1, share2):
    n = episodes_needed(share1, share2)
    assert n is not None
    assert 0.78 < exact_power(share1, share2, n) < 0.91  # a little too careful where a share is 0
    assert exact_power(share1, share2, n // 2) < 0.6


def test_the_labs_3_of_20_beside_0_of_20_are_not_distinguishable():
    verdict = compare_counts(3, 20, 0, 20)
    assert not verdict.differ and verdict.p == pytest.approx(0.23, abs=0.005)
    assert verdict.text == "not distinguishable at this n; about 60 episodes each would be needed"


def test_equal_shares_need_no_number_of_episodes():
    assert compare_counts(4, 40, 4, 40).text == "not distinguishable at this n; the shares are equal"
    assert compare_counts(0, 20, 0, 50).episodes is None


def test_a_clear_difference():
    assert compare_counts(35, 40, 1, 40).text == "differ"
    assert compare_counts(1, 40, 35, 40) == compare_counts(1, 40, 35, 40)


def test_rounded_up_to_two_digits():
    assert [rounded(value) for value in (7, 60, 566, 1291, 4627)] == [7, 60, 570, 1300, 4700]


def test_holm_keeps_the_order_given():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
