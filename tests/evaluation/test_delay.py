"""Chunks that come late: what is executed meanwhile, what real-time chunking makes of it, and what is said of the result."""

import dataclasses
import json

import numpy as np
import pytest

from pirig.config.checks import ConfigError
from pirig.config.load import compose
from pirig.evaluation import lateness
from pirig.evaluation.drivers import PolicyDriver
from pirig.evaluation.motion import jerk, stale_share
from pirig.evaluation.rollouts import Request
from pirig.evaluation.target import _made_of, result_settings, results_folder
from pirig.policies.policy import Policy
from pirig.policies.underway import Underway
from pirig.sim.door import Observation


class Counting:
    """A policy whose chunk number n foresees 100 n + the step for each of 8 steps, and which notes what is underway."""

    horizon, noise_shape, batch_size, blends = 8, (8, 1), 4, True

    def __init__(self):
        self.told = []

    def infer(self, observations, noise, told, *, underway=None):
        self.told.append(underway)
        starts = [(observation.numbers["step"], observation.numbers["chunk"]) for observation in observations]
        return np.stack([(100.0 * chunk + step + np.arange(8, dtype=np.float32))[:, None] for step, chunk in starts])


def executed(driver, chunks, scene=7):
    seen = [Observation({}, {"chunk": number, "step": number * driver.execute}) for number in range(chunks)]
    return [driver.act([Request(scene, number, look)])[0][:, 0].tolist() for number, look in enumerate(seen)]


def test_the_last_chunk_goes_on_until_the_new_one_is_there():
    """Looks at steps 0, 4 and 8; the chunks of the later two are there two steps after. The first one is waited for."""
    driver = PolicyDriver(Counting(), execute=4, noise_seed=0, delay=2)
    assert executed(driver, 3) == [[0, 1, 2, 3], [4, 5, 106, 107], [108, 109, 210, 211]]
    assert executed(driver, 2) == [[0, 1, 2, 3], [4, 5, 106, 107]]  # a new episode of the scene begins with nothing
    assert executed(PolicyDriver(Counting(), execute=4, noise_seed=0, delay=4), 2)[1] == [4, 5, 6, 7]
    assert executed(PolicyDriver(Counting(), execute=4, noise_seed=0), 2)[1] == [104, 105, 106, 107]


def test_with_rtc_the_policy_is_told_what_is_underway():
    policy = Counting()
    executed(PolicyDriver(policy, execute=3, noise_seed=0, delay=2, rtc=True), 2)
    assert policy.told[0] == [None]
    ((underway,),) = policy.told[1:]
    assert underway.delay == 2 and underway.actions[:, 0].tolist() == [3, 4, 5, 6, 7]
    policy = Counting()
    executed(PolicyDriver(policy, execute=3, noise_seed=0, delay=2), 2)
    assert policy.told == [None, None]


def test_a_driver_that_cannot_act_so_is_refused():
    with pytest.raises(ValueError, match=r"eval\.delay=3 with eval\.execute=6: a chunk of 8 lasts 2 steps"):
        PolicyDriver(Counting(), execute=6, noise_seed=0, delay=3)
    deaf = Counting()
    deaf.blends = False
    with pytest.raises(ValueError, match=r"serve\.rtc=true"):
        PolicyDriver(deaf, execute=4, noise_seed=0, rtc=True)


def inputs(policy, count):
    random, contract = np.random.default_rng(1), policy.pipeline.contract
    camera = contract.cameras[0]
    images = random.integers(0, 256, (count, camera.height_px, camera.width_px, 3), np.uint8)
    state = random.uniform(-1, 1, (count, contract.state_dim)).astype(np.float32)
    return {camera.role: images}, state, random.standard_normal((count, *policy.noise_shape)).astype(np.float32)


def test_rows_without_a_chunk_are_the_plain_samplers_bit_for_bit_and_given_steps_come_out(policy):
    images, state, noise = inputs(policy, 3)
    plain = policy.predict(images, state, noise)
    before = np.random.default_rng(2).uniform(-0.5, 0.5, (5, 7)).astype(np.float32)
    mixed = policy.predict(images, state, noise, underway=[None, Underway(before, 2), None])
    np.testing.assert_array_equal(mixed[[0, 2]], plain[[0, 2]])
    np.testing.assert_allclose(mixed[1, :2], before[:2], atol=1e-6)
    alone = policy.predict(
        {role: rows[1:2] for role, rows in images.items()}, state[1:2], noise[1:2], underway=[Underway(before, 2)]
    )
    np.testing.assert_array_equal(alone[0], mixed[1])
    apart = np.abs(mixed[1, 2:5] - before[2:]).mean(), np.abs(plain[1, 2:5] - before[2:]).mean()
    assert apart[0] < apart[1]  # the overlap is pulled towards what is underway


def test_a_chunk_goes_on_from_targets_that_were_relative_to_another_state(policy, pipeline):
    """What is underway is in the arm's units, so it is expressed anew by the state of the newest look."""
    other = Policy(policy.params, dataclasses.replace(pipeline, relative_to_state=(6, -1)), flow_steps=4, batch_size=4)
    images, state, noise = inputs(other, 1)
    before = np.random.default_rng(2).uniform(-0.5, 0.5, (5, 7)).astype(np.float32)
    chunk = other.predict(images, state, noise, underway=[Underway(before, 3)])[0]
    np.testing.assert_allclose(chunk[:3], before[:3], atol=1e-6)


def test_what_is_underway_must_fit():
    for actions, delay, said in (
        (np.zeros((9, 7)), 0, "expected"),
        (np.zeros((3, 6)), 0, "expected"),
        (np.zeros((3, 7)), 4, "3 actions are underway"),
        (np.full((3, 7), np.nan), 0, "NaN"),
    ):
        with pytest.raises(ValueError, match=said):
            Underway(actions, delay).require_fits(8, 7)
    Underway(np.zeros((3, 7)), 3).require_fits(8, 7)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["eval.delay=9"], r"eval\.delay=9 with eval\.execute=8: .*at most eval\.execute=8 eval\.delay=8 is possible"),
        (["eval.delay=5", "eval.execute=4"], r"choose eval\.execute=5 to eval\.execute=11"),
        (["eval.delay=8", "eval.execute=9"], r"choose eval\.execute=8\."),
        (["eval.delay=2", "eval.ensemble=0.5"], r"eval\.delay=2 with eval\.ensemble=0\.5"),
        (["eval.rtc=true", "eval.execute=16"], r"do not overlap then; choose eval\.execute=8"),
        (["eval.rtc=true", "eval.server=ws://127.0.0.1:1", "eval.layout=libero"], r"eval\.layout=ours"),
        (["eval.delay=-1"], r"eval\.delay=-1: expected a whole number of at least 0, or measured"),
        (["eval.delay=soon"], r"eval\.delay=soon"),
        (["eval.delay=07"], r"eval\.delay"),
        (["eval.delay=2", "task=kinova", "demos.path=recorded"], r"recorded frames are answered one by one"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(overrides, said):
    with pytest.raises(ConfigError, match=said):
        compose(overrides)


def test_what_can_be_is_taken():
    for overrides in (["eval.delay=8"], ["eval.delay=measured", "eval.rtc=true"], ["eval.rtc=true"], ["eval.delay=0"]):
        compose(overrides)


def test_evaluations_without_delay_keep_the_names_that_they_had(tmp_path):
    """Recorded with the version before there was a delay (259ea73)."""
    checkpoint = tmp_path / "100"
    checkpoint.mkdir()

    def name(*overrides):
        return results_folder(tmp_path, checkpoint, result_settings(compose(list(overrides)), checkpoint, 120)).name

    assert name() == name("eval.delay=0", "eval.rtc=false") == "step100-d1f544"
    assert name("eval.ensemble=0.5") == "step100-d1101c"
    assert name("eval.sim_backend=gpu") == "step100-02a958"
    assert name("eval.server=ws://127.0.0.1:8000") == "step100-2b3561"
    assert name("eval.execute=4", "eval.flow_steps=5") == "step100-dbe742"
    late = [
        name("eval.delay=4"),
        name("eval.delay=4", "eval.rtc=true"),
        name("eval.rtc=true"),
        name("eval.delay=measured"),
    ]
    assert len({name(), *late}) == 5


@pytest.mark.parametrize(
    "other",
    ["eval.delay=4", "eval.rtc=true", "eval.ensemble=0.5", "eval.sim_backend=gpu", "eval.server=ws://127.0.0.1:1"],
)
def test_results_of_one_kind_are_not_taken_for_the_other(tmp_path, other):
    """Neither way: a key that is left out where it is as usual is asked for all the same."""
    checkpoint = tmp_path / "100"
    checkpoint.mkdir()
    plain, special = (result_settings(compose(each), checkpoint, 120) for each in ([], [other]))
    for there, asked, same in (
        (plain, plain, True),
        (special, special, True),
        (plain, special, False),
        (special, plain, False),
    ):
        (tmp_path / "settings.json").write_text(json.dumps(there))
        assert _made_of(tmp_path, checkpoint, asked) is same


def test_a_measured_latency_is_kept_for_the_episodes_that_follow(tmp_path, contract, monkeypatch, capsys):
    asked = compose(["eval.delay=measured"]).eval
    slow = [130.0]
    monkeypatch.setattr(lateness, "measured_ms", lambda *given: slow[0])
    policy = Counting()
    policy.horizon = 16
    found = lateness.lateness(asked, lambda: policy, contract, tmp_path)
    assert found == lateness.Lateness(3, 130.0) and "3 control steps late (130 ms at 20 Hz)" in capsys.readouterr().err
    slow[0] = 20.0
    assert lateness.lateness(asked, lambda: policy, contract, tmp_path) == found
    assert lateness.steps_of("measured", tmp_path) == 3 and lateness.steps_of("4", tmp_path) == 4
    slow[0] = 900.0
    with pytest.raises(ValueError, match=r"takes 900 ms here, 18 control steps at 20 Hz\. .*eval\.flow_steps"):
        lateness.lateness(asked, lambda: policy, contract, tmp_path / "other")


def test_a_policys_own_latency_is_measured(policy, contract):
    assert lateness.measured_ms(policy, contract) > 0
    assert lateness.measured_ms(policy, contract, Underway(np.zeros((4, 7), np.float32), 0)) > 0


def test_jerk_is_that_of_the_motion_without_the_gripper(contract):
    """Actions of this contract are changes of the pose: a jerk of 2 is a second difference of 2."""
    steps = np.arange(10.0)
    actions = np.zeros((10, 7))
    actions[:, 0], actions[:, 6] = steps**2, (-1) ** steps
    assert jerk([actions], contract) == pytest.approx(2 / np.sqrt(6))
    positions = dataclasses.replace(contract, control_mode="joint_position")
    assert jerk([actions], positions) == pytest.approx(0)
    assert jerk([actions[:2]], contract) is None


def test_the_stale_share_counts_the_steps_that_were_executed():
    """Episodes of 10 and 5 steps, looks every 4, chunks 2 late: steps 4, 5, 8, 9 and 4."""
    assert stale_share([10, 5], execute=4, delay=2) == pytest.approx(5 / 15)
    assert stale_share([10], execute=4, delay=0) == 0
