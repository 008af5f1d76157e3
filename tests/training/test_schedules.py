"""Learning-rate curves against their formulas, openpi's and optax's; what a curve cannot be drawn from is refused."""

import math

import jax
import numpy as np
import optax
import pytest

from pirig.config.load import compose
from pirig.config.schema import ScheduleConfig
from pirig.training.schedules import make_schedule, without_part

STEPS = (0, 1, 9, 10, 11, 25, 100, 999, 30_000)
RSQRT = ScheduleConfig("rsqrt", peak_lr=5e-5, warmup_steps=10, numbers={"timescale": 20.0})


def rates(settings, steps=1000):
    schedule = jax.jit(make_schedule(settings, steps))
    return np.array([schedule(step) for step in STEPS])


def rising(peak_lr, warmup_steps, step):
    first_lr = peak_lr / (warmup_steps + 1)
    return first_lr + (peak_lr - first_lr) * step / warmup_steps


def test_rsqrt_is_its_formula():
    expected = [rising(5e-5, 10, step) if step < 10 else 5e-5 / math.sqrt((20 + step - 10) / 20) for step in STEPS]
    np.testing.assert_allclose(rates(RSQRT), expected, rtol=1e-6)
    assert float(make_schedule(RSQRT, 1)(10 + 3 * 20)) == pytest.approx(2.5e-5)


def test_rsqrt_is_openpis_bit_for_bit():
    """openpi/training/optimizer.py: RsqrtDecaySchedule.create."""
    theirs = optax.join_schedules(
        [
            optax.linear_schedule(init_value=5e-5 / 11, end_value=5e-5, transition_steps=10),
            lambda step: 5e-5 / jax.numpy.sqrt((20.0 + step) / 20.0),
        ],
        [10],
    )
    assert rates(RSQRT).tolist() == [float(jax.jit(theirs)(step)) for step in STEPS]


def test_constant_is_the_cosine_that_falls_by_nothing_bit_for_bit():
    """The lab wrote its rates so: warm-up, then a cosine from the peak to the peak."""
    constant = ScheduleConfig("constant", peak_lr=5e-5, warmup_steps=10)
    cosine = ScheduleConfig("cosine", peak_lr=5e-5, final_lr=5e-5, warmup_steps=10, decay_steps=1_000_000)
    assert rates(constant).tolist() == rates(cosine).tolist()
    assert rates(constant)[-1] == np.float32(5e-5)


def test_the_labs_preset_has_the_numbers_that_it_had():
    config = compose(["experiment=lab_stack_cube"])
    was = ScheduleConfig("cosine", peak_lr=5e-5, final_lr=5e-5, warmup_steps=10_000, decay_steps=1_000_000)
    assert config.schedule.name == "constant"
    assert rates(config.schedule, config.train.steps).tolist() == rates(was, config.train.steps).tolist()


def test_without_a_warm_up_the_first_rate_is_the_peak():
    for name in ("cosine", "constant"):
        assert float(make_schedule(ScheduleConfig(name, peak_lr=1e-3, warmup_steps=0), 10)(0)) == np.float32(1e-3)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            ScheduleConfig(warmup_steps=10, decay_steps=10),
            r"schedule\.warmup_steps=10.*choose schedule\.warmup_steps=1",
        ),
        (ScheduleConfig("stairs"), r"schedule\.name=stairs: no such curve; known are cosine, constant, rsqrt"),
        (ScheduleConfig("rsqrt"), r"schedule\.numbers\.timescale has no value"),
        (ScheduleConfig(numbers={"timescale": 1.0}), r"schedule\.numbers\.timescale is no number of this curve"),
    ],
)
def test_what_cannot_be_drawn_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        make_schedule(settings, 1000)


def test_what_a_curve_does_not_ask_for_is_named():
    ends = {"peak_lr": 2e-3, "final_lr": 1e-5, "decay_steps": 7}
    assert without_part(ScheduleConfig("constant", **ends)) == ["schedule.final_lr=1e-05", "schedule.decay_steps=7"]
    assert without_part(ScheduleConfig("cosine", **ends)) == []
    assert (
        without_part(compose(["schedule=constant"]).schedule)
        == without_part(compose(["schedule=rsqrt"]).schedule)
        == []
    )
