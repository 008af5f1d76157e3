"""Each rule speaks on the evidence of its cause, on nothing else, and in the right order."""

import dataclasses

import numpy as np
import pytest

from pirig.diagnosis.causes import ranked
from pirig.diagnosis.evidence import History, Late
from tests.diagnosis.conftest import CHUNK, NUMBERS, errors, hand_overs, outcome, parity


def growing(first: float, last: float) -> np.ndarray:
    return np.linspace(first, last, CHUNK)[:, None] * np.ones(NUMBERS)


def by_number(**ratios: float) -> np.ndarray:
    row = np.full(NUMBERS, 0.3)
    for name, ratio in ratios.items():
        row["dx dy dz drx dry drz gripper".split().index(name)] = ratio
    return np.ones((CHUNK, 1)) * row


CASES = {
    "contract": ({"contract_differences": ["run and checkpoint: control_hz: 10 != 20"]}, "control_hz: 10 != 20"),
    "gate seeds": ({"gates": {"seeds": ["one seed"], "finite": []}}, "one seed"),
    "oracle": ({"outcome": outcome(sub_goals={}, oracle=(3, 20))}, "3 of 20 demos"),
    "input parity": ({"parity": [parity(mean=30.0)]}, "30.0 of 255"),
    "step limit": ({"late": Late(4, 5, 240)}, "4 of 5 failed episodes succeed.*240 steps instead of 120"),
    "under-trained": ({"training": errors(0.95)}, "95% of always predicting the mean.*1000 steps, 8.0 passes"),
    "unlearned action": ({"training": errors(by_number(dy=0.97))}, r"dy \(97%\)"),
    "ignored input": ({"training": errors(0.2, {"base_0_rgb": 1.0, "state": 2.0})}, "base_0_rgb .* factor of 1.00"),
    "overfit": ({"training": errors(0.1), "held_out": errors(0.9)}, "10% .* training frames, 90%"),
    "training scenes only": ({"hand_overs": hand_overs([10, 10, 10, 10], 10)}, "10 of 10 on demo seeds, 12 of 40"),
    "breaks early": ({"hand_overs": hand_overs([0, 1, 4, 4])}, "alone 0 of 4, after 50% of the demo 4 of 4"),
    "does not finish": ({"hand_overs": hand_overs([0, 0, 0, 1])}, "1 of 4"),
    "stands still": ({"outcome": outcome(12, sub_goals={}, stood_still=16)}, "16 of 28 failed episodes .* 40 actions"),
    "does not see": (
        {"label_errors": {"cubeA_position_mm": 31.2, "cubeB_position_mm": 8.0, "cubeA_yaw_deg": 40.0}},
        "^cubeA off by 31 mm on held-out frames$",
    ),
    "chunk": ({"held_out": errors(growing(0.1, 0.6)), "training": errors(growing(0.1, 0.6))}, "10% .* 33% .*step 8"),
    "funnel": (
        {"outcome": outcome(sub_goals={"reached": 40, "grasped": 13, "placed": 12, "is_grasped": 13})},
        "40 reached, 13 grasped",
    ),
    "few episodes": ({"outcome": outcome(1, 4, sub_goals={})}, "1 of 4"),
}


def test_a_thing_that_is_known_where_it_lies_is_seen_wherever_it_is_carried(healthy):
    errors = {"cubeA_position_mm": 31.2, "cubeA_at_rest_mm": 6.0, "cubeB_position_mm": 8.0, "cubeB_at_rest_mm": 8.0}
    assert not ranked(dataclasses.replace(healthy, label_errors=errors))
    [cause] = ranked(dataclasses.replace(healthy, label_errors={**errors, "cubeA_at_rest_mm": 25.0}))
    assert cause.name == "does not see" and cause.numbers == "cubeA off by 25 mm on held-out frames, before it is moved"


def test_what_must_fit_is_seen_too_coarsely_by_its_clearance_and_in_the_hand_too(healthy):
    errors = {"peg_position_mm": 16.5, "peg_at_rest_mm": 4.0, "hole_position_mm": 2.0}
    assert not ranked(dataclasses.replace(healthy, label_errors=errors))
    [cause] = ranked(dataclasses.replace(healthy, label_errors=errors, clearance_mm=3.0))
    assert cause.says == "the policy does not know where peg is: off by 16 mm, the task leaves 3"
    assert cause.numbers == "peg off by 16 mm on held-out frames"
    assert "scenes.near_demos" in cause.remedy


@pytest.mark.parametrize("name", CASES)
def test_a_cause_is_named_with_its_numbers_and_no_other_is(name, healthy):
    import re

    changes, numbers = CASES[name]
    found = ranked(dataclasses.replace(healthy, **changes))
    assert [cause.name for cause in found] == [name]
    assert re.search(numbers, found[0].numbers), found[0].numbers
    assert found[0].says and found[0].remedy


@pytest.mark.parametrize(("late", "first"), [(1, "breaks early"), (4, "step limit")])
def test_the_step_limit_comes_first_only_where_it_ends_most_of_the_failures(late, first, healthy):
    found = ranked(dataclasses.replace(healthy, late=Late(late, 5, 240), hand_overs=hand_overs([1, 4, 4, 4])))
    assert {cause.name for cause in found} == {"step limit", "breaks early"} and found[0].name == first


def test_nothing_is_said_where_nothing_is_found(healthy):
    assert ranked(healthy) == []


def test_a_good_policy_is_not_explained_away(healthy):
    good = dataclasses.replace(healthy, outcome=outcome(39), training=errors(0.9), late=Late(1, 1, 240))
    assert ranked(good) == []
    assert ranked(dataclasses.replace(good, gates={"seeds": ["one seed"]}))[0].name == "gate seeds"


def test_what_is_broken_comes_before_what_is_weak(healthy):
    every = {
        "training": errors(0.95),
        "parity": [parity(mean=30.0)],
        "gates": {"seeds": ["one seed"]},
        "outcome": outcome(0, 4, sub_goals={"reached": 4, "placed": 0}),
        "hand_overs": hand_overs([0, 0, 0, 0]),
    }
    names = [cause.name for cause in ranked(dataclasses.replace(healthy, **every))]
    assert names == [
        "gate seeds", "input parity", "under-trained", "does not finish", "funnel", "few episodes"
    ]  # fmt: skip


def test_a_state_that_differs_at_the_first_frame_is_named_and_later_drift_is_not(healthy):
    noisy = ranked(dataclasses.replace(healthy, parity=[parity(state=0.004, tokens=2)]))
    assert [cause.name for cause in noisy] == ["input parity"] and "number 3 is 0.0040" in noisy[0].numbers
    assert ranked(dataclasses.replace(healthy, parity=[parity(step=30, state=0.004, tokens=2)])) == []


def test_training_that_still_improves_is_told_to_go_on(healthy):
    half = dataclasses.replace(healthy, training=errors(0.6), history=History(100, 1.0, 2.0, 0.5, 0.3))
    assert "train longer" in ranked(half)[0].remedy and "fell by 30%" in ranked(half)[0].numbers
    flat = dataclasses.replace(half, history=History(100, 1.0, 2.0, 0.5, 0.0))
    assert "pixels" in ranked(flat)[0].remedy
