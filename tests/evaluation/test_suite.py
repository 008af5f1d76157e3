"""A suite's rate has both intervals, and its tasks' rates beside it."""

import dataclasses

import pytest

from pirig.comparison.statistics import mean_interval
from pirig.comparison.success import SuccessRow
from pirig.config.load import compose
from pirig.evaluation.measured import Measured, load, with_spread

ROW = SuccessRow(k=10, n=20, low=0.3, high=0.7, k_at_end=9)


def test_the_bounds_by_the_spread_of_tasks_are_students():
    low, high = mean_interval([0.2, 0.4, 0.6])
    assert low == 0.0  # 0.4 - 0.497 is no rate
    assert high == pytest.approx(0.4 + 4.30265 * 0.2 / 3**0.5, abs=1e-4)
    assert mean_interval([0.0, 1.0]) == (0.0, 1.0)


def test_a_suites_row_says_both_and_comes_back_from_its_file(tmp_path):
    tasks = {name: {"policy": dataclasses.replace(ROW, k=k, n=10)} for name, k in (("one", 9), ("two", 1))}
    row = with_spread(ROW, "policy", tasks)
    measured = Measured({"policy": row}, tasks)
    text = "\n".join(measured.lines())
    assert "30.0% to 70.0% (Wilson 95 %), 0.0% to 100.0% by the spread of its tasks" in text
    assert "one" in text and "9/10" in text and "1/10" in text
    measured.save(tmp_path)
    assert load(tmp_path) == measured
    suite = ["task=libero_object", "eval.oracle_episodes=0", "eval.untrained_episodes=0"]
    assert measured.covers(compose([*suite, "eval.episodes=20"])) and not measured.covers(
        compose([*suite, "eval.episodes=21"])
    )


def test_one_task_has_no_spread():
    assert with_spread(ROW, "policy", {"one": {"policy": ROW}}).between_tasks is None
