"""Where an episode lost its way, told from made-up sub-goals."""

import numpy as np
import pytest

from pirig.improving.lost import SETTLE_STEPS, Lost, first_step, limits, lost_at, moments


def timeline(length, **true_in):
    """Each sub-goal true in the steps of its ranges, counted from 1."""
    rows = {name: np.zeros(length, bool) for name in ("reached", "grasped", "placed", "success")}
    for name, spans in true_in.items():
        for start, stop in spans:
            rows[name][start - 1 : stop] = True
    return rows


DEMOS = [
    timeline(60, reached=[(20, 60)], grasped=[(25, 50)], placed=[(50, 60)], success=[(52, 60)]),
    timeline(70, reached=[(30, 70)], grasped=[(35, 60)], placed=[(60, 70)], success=[(60, 70)]),
]


def test_a_sub_goal_is_late_after_the_slowest_demos_time_and_a_bit():
    assert limits(DEMOS, 1.2) == {"reached": 36, "grasped": 42, "placed": 72, "success": 72}
    assert first_step(DEMOS[0]["grasped"]) == 25 and first_step(np.zeros(3, bool)) is None


def test_a_sub_goal_that_few_demos_reach_is_none_of_the_tasks():
    few = [*[timeline(60, reached=[(20, 60)], success=[(52, 60)])] * 4, DEMOS[0]]
    assert limits(few, 1.0) == {"reached": 20, "success": 52}
    with pytest.raises(ValueError, match=r"fewer than 90% of 1 demos succeed .* `pirig doctor`"):
        limits([timeline(60, reached=[(20, 60)])], 1.0)


def test_the_first_sub_goal_that_is_late_says_where():
    allowed = limits(DEMOS, 1.2)
    never = timeline(100, reached=[(30, 100)])
    assert lost_at(never, allowed) == Lost(42, "grasped late")
    assert lost_at(timeline(30), allowed) == Lost(30, "reached late")  # an episode that ended before
    assert [lost.what for lost in moments(timeline(100), allowed)] == [f"{name} late" for name in allowed]


def test_a_dropped_object_is_corrected_once_it_lies_still():
    allowed = limits(DEMOS, 1.2)
    dropped = timeline(100, reached=[(20, 100)], grasped=[(30, 40)])
    assert lost_at(dropped, allowed) == Lost(41 + SETTLE_STEPS, "dropped")
    again = timeline(100, reached=[(20, 100)], grasped=[(30, 40), (45, 100)])  # taken up again at once
    assert lost_at(again, allowed) is None
    late = timeline(45, reached=[(20, 45)], grasped=[(30, 40)])  # the episode ends before it lies still
    assert lost_at(late, allowed) == Lost(45, "placed late")


def test_while_an_object_is_held_no_planner_can_begin():
    allowed = limits(DEMOS, 1.2)
    held = timeline(100, reached=[(20, 100)], grasped=[(30, 100)])
    assert [lost.what for lost in moments(held, allowed)] == ["placed late", "success late"]
    assert lost_at(held, allowed) is None
    let_go = timeline(100, reached=[(20, 100)], grasped=[(30, 80)])
    assert lost_at(let_go, allowed) == Lost(81 + SETTLE_STEPS, "dropped")


def test_a_task_without_grasping_has_no_drops():
    pushed = {name: flag for name, flag in timeline(100, reached=[(20, 100)]).items() if name != "grasped"}
    assert lost_at(pushed, {"reached": 30, "success": 72}) == Lost(72, "success late")
