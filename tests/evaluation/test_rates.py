"""Intervals against published values, and seeds and limits that would make a rate meaningless."""

import json

import numpy as np
import pytest

from pirig.comparison.statistics import wilson
from pirig.evaluation.results import EpisodeResult, ResultsFile, sub_goals
from pirig.evaluation.seeds import held_out_scenes, step_limit


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(0, 40, 0.0, 0.08762), (20, 40, 0.35200, 0.64800), (40, 40, 0.91238, 1.0), (81, 263, 0.25533, 0.36618)],
)  # 81 of 263: Newcombe 1998, method 3
def test_wilson(k, n, low, high):
    assert wilson(k, n) == pytest.approx((low, high), abs=1e-4)


def test_wilson_refuses_nonsense():
    with pytest.raises(ValueError, match="5 successes of 4"):
        wilson(5, 4)


def test_seeds_of_demos_are_refused():
    assert held_out_scenes(100, 3, [1, 2]) == [100, 101, 102]
    with pytest.raises(ValueError, match=r"first: 101.*eval\.first_seed above 150"):
        held_out_scenes(100, 3, [101, 150])


def test_a_limit_below_the_demos_is_refused():
    assert step_limit(0, 1.5, [60, 81]) == 122
    assert step_limit(0, 1.5, [60, 81] * 20 + [807]) == 122  # one demo wandered
    assert step_limit(90, 1.5, [60, 81]) == 90
    with pytest.raises(ValueError, match=r"eval\.max_steps=50.*median demo \(70 steps\)"):
        step_limit(50, 1.5, [60, 70, 81])
    with pytest.raises(ValueError, match=r"eval.step_margin=0.5, a limit of 41 steps, is shorter than the median demo"):
        step_limit(0, 0.5, [60, 70, 81])


def test_results_survive_a_torn_line(tmp_path):
    file = ResultsFile(tmp_path)
    for seed, success in ((7, True), (5, False)):
        file.add(EpisodeResult(seed, success, success, 3, 9, 0.1, {"grasped": True}), np.ones((9, 7), np.float32))
    with open(file.path, "a") as torn:
        torn.write('{"seed": 9, "succ')
    again = ResultsFile(tmp_path)
    assert [result.scene for result in again.results([5, 7])] == [5, 7]
    again.add(EpisodeResult(9, True, False, 3, 9, 0.1, {"grasped": False}), np.ones((9, 7), np.float32))
    assert [json.loads(line)["seed"] for line in file.path.read_text().splitlines()] == [7, 5, 9]
    found = again.rate([5, 7, 9])
    assert (found.k, found.n, found.k_at_end) == (2, 3, 1)
    assert sub_goals(again.results([5, 7, 9])) == {"grasped": 2}
