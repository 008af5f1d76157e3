"""Which failed episodes end in a standstill, told from the actions that were executed."""

import dataclasses

import numpy as np
import pytest

from pirig.diagnosis.causes import ranked
from pirig.diagnosis.outcome import STILL_STEPS, stood_still
from tests.diagnosis.conftest import outcome

RNG = np.random.default_rng(0)


def moving(steps=120):
    return RNG.normal(0, [0.1, 0.2, 0.0], (steps, 3)).astype(np.float32)  # the last number is never used


def standing(at, steps=STILL_STEPS):
    """As `moving`, then the same action again and again but for a little noise."""
    still = at + RNG.normal(0, [0.002, 0.004, 0.0], (steps, 3)).astype(np.float32)
    return np.concatenate([moving(60), still])


@pytest.mark.parametrize("at", [[0.0, 0.0, 0.0], [0.3, -0.7, 0.0]])  # changes of nothing, or targets that stay
def test_episodes_that_repeat_one_action_to_the_end_are_counted(at):
    failed = [moving(), standing(at), standing(at, STILL_STEPS // 2), standing(at)]
    assert stood_still([moving(), moving(), *failed], failed) == 2


def test_short_episodes_and_none_at_all_are_no_standstill():
    assert stood_still([moving()], []) == 0
    short = [np.zeros((STILL_STEPS - 1, 3), np.float32)]
    assert stood_still([moving(), *short], short) == 0
    never = [np.zeros((STILL_STEPS, 3), np.float32)] * 2
    assert stood_still(never, never) == 2


def test_a_few_of_many_failures_explain_nothing(healthy):
    few = dataclasses.replace(healthy, outcome=outcome(12, sub_goals={}, stood_still=5))
    assert ranked(few) == []
