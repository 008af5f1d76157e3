"""Corrective noise: where the state is moved, the actions bring the hand back; asked of a hand that is simulated here."""

import dataclasses

import numpy as np
import pytest

from pirig.config.load import ConfigError, compose
from pirig.training.batches import BatchSettings, prepare
from pirig.training.corrective import SETTLED_M, corrective_noise, remaining
from pirig.transforms.normalize import NormStats
from pirig.transforms.pipeline import Pipeline
from tests.training.conftest import LinearConfig, OneToken, SmallDataset, small_pipeline

UNIT_M, GAIN_M, CARRIED, H = 0.05, 0.005, 0.6, 16
PLACE = [0, 1, 2]


def driven(start_m, actions):
    """Places [steps + 1, 3] of a hand that goes as actions [steps, 4] say, and keeps a part of its last step."""
    places, step = [np.array(start_m, float)], np.zeros(3)
    for action in actions:
        step = CARRIED * step + GAIN_M * action[:3]
        places.append(places[-1] + step)
    return np.array(places)


def demo(target_m, steps=40):
    """To the target, then the gripper closes for ten steps, then up: what an expert sees and does, [60, 3] and [60, 4]."""
    place, step, places, actions = np.zeros(3), np.zeros(3), [], []
    for number in range(steps + 20):
        wants = np.zeros(3) if steps <= number < steps + 10 else np.array(target_m) - place
        if number >= steps + 10:
            wants = wants + [0, 0, 0.1]
        action = np.append(np.clip(wants / UNIT_M, -1, 1), -1.0 if number < steps else 1.0)
        places.append(place)
        actions.append(action)
        step = CARRIED * step + GAIN_M * action[:3]
        place = place + step
    return np.array(places, np.float32), np.array(actions, np.float32)


@pytest.fixture
def noise():
    demos = [demo([0.1, 0.05, -0.1]), demo([-0.05, 0.1, -0.15])]
    state, actions = (np.concatenate([own[i] for own in demos]) for i in (0, 1))
    return corrective_noise(0.015, UNIT_M, PLACE, state, actions, [60, 60], H), state


@pytest.fixture
def batches_with():
    """Batches of two demos with this much corrective noise; the state holds the fingers beside the hand's place."""
    demos = [demo([0.1, 0.05, -0.1]), demo([-0.05, 0.1, -0.15])]
    data, lengths = SmallDataset(), [60, 60]
    data.state, data.actions = (np.concatenate([own[i] for own in demos]) for i in (0, 1))
    data.state = np.concatenate([data.state, data.actions[:, -1:] * [0.01, -0.01]], axis=1).astype(np.float32)
    data.lengths, data.frame_count = lengths, 120
    images = {"base_0_rgb": np.arange(120 * 192, dtype=np.uint32).astype(np.uint8).reshape(120, 8, 8, 3)}
    contract = dataclasses.replace(
        small_pipeline().contract, control_mode="osc_pose_delta", state=("eef_pos3", "fingers2"), state_dim=5, action_dim=4,
        action_layout="dx dy dz gripper", gripper_open=-1.0,
    )  # fmt: skip
    wide = {"state": 5, "actions": 4}
    stats = {name: NormStats(*(np.full(n, v, np.float32) for v in (0, 2, -2, 2))) for name, n in wide.items()}
    pipeline = Pipeline(contract, LinearConfig(action_dim=5, action_horizon=H), "zscore", False, stats, OneToken())

    def make(std_m):
        settings = BatchSettings(batch_size=8, seed=0, corrective_noise_m=std_m)
        return prepare(pipeline, data, images, settings), pipeline, data

    return make


def chunk_at(frame):
    return np.minimum(frame + np.arange(H), 59 if frame < 60 else 119)[None]


def test_how_hands_answer_is_found_in_the_data(noise):
    found, _ = noise
    left, step = [1.0], 0.0
    for _ in range(H - 1):
        step = CARRIED * step - GAIN_M / UNIT_M * left[-1]
        left.append(left[-1] + step)
    np.testing.assert_allclose(found.remains, left, atol=0.01)


@pytest.mark.parametrize("frame", [28, 33, 37, 40, 95])
def test_the_hand_that_is_off_comes_to_where_the_demo_goes_before_the_gripper_closes(noise, frame):
    found, state = noise
    off_m = np.array([0.02, -0.01, 0.015])
    actions = found.chunks(np.array([frame]), chunk_at(frame), off_m[None])[0]
    came = driven(state[frame] + off_m, actions)
    closes = np.argmax(actions[:, -1] > 0)
    assert actions[0, -1] == -1.0  # off as it is, it does not close yet
    assert closes >= 6
    last_open = 39 if frame < 60 else 99
    assert np.abs(came[closes] - state[last_open + 1]).max() < 2 * SETTLED_M
    if frame in (40, 37):  # what a demo does after the closing waits as long as the hand needs
        np.testing.assert_array_equal(actions[closes:, :3][:5], 0)


def test_without_being_off_a_chunk_is_the_recorded_one(noise):
    found, _ = noise
    for frame in (3, 30, 36, 40, 58, 70):
        own = found.chunks(np.array([frame]), chunk_at(frame), np.zeros((1, 3)))
        np.testing.assert_array_equal(own[0], found.actions[chunk_at(frame)[0]])


def test_an_action_at_its_full_size_stays_and_none_goes_beyond(noise):
    found, _ = noise
    moved = found.chunks(np.array([0]), chunk_at(0), np.array([[0.05, 0.05, 0.05]]))[0]
    recorded = found.actions[chunk_at(0)[0]]
    full = np.abs(recorded) > 0.99
    np.testing.assert_array_equal(moved[full], recorded[full])
    assert np.abs(moved).max() <= 1


def test_while_the_gripper_closes_the_hand_is_where_it_is(noise):
    found, _ = noise
    frames = np.arange(120)
    off_m = found.draw(frames, seed=0, position=0)
    still = ~off_m.any(axis=1)
    assert np.flatnonzero(still).tolist() == [*range(41, 51), *range(101, 111)]
    assert 0.01 < off_m[~still].std() < 0.02
    np.testing.assert_array_equal(off_m, found.draw(frames, seed=0, position=0))
    assert (off_m[~still] != found.draw(frames, seed=0, position=120)[~still]).all()


def test_the_first_frame_of_an_episode_has_nothing_before_it():
    state, actions = demo([0.1, 0, 0])
    twice = corrective_noise(0.01, UNIT_M, PLACE, np.tile(state, (2, 1)), np.tile(actions, (2, 1)), [60, 60], H)
    assert twice.before[60] == -1.0  # not what the demo before it ended with
    alone = remaining(state, actions[:, :3], np.zeros(60, int), UNIT_M, H)
    np.testing.assert_allclose(twice.remains, alone, atol=1e-6)  # the way back to a start is no step of a hand


def test_hands_that_go_along_other_axes_than_they_are_told_are_refused():
    rng = np.random.default_rng(0)
    moves, first = rng.uniform(-1, 1, (200, 3)), np.zeros(200, int)
    for turn, refused in ((np.eye(3), False), (np.eye(3)[[1, 0, 2]], True), (np.diag([-1.0, -1, 1]), True)):
        place_m = driven(np.zeros(3), moves @ turn)[:-1]
        if refused:
            with pytest.raises(ValueError, match=r"corrective_noise_m: told to go along x, y or z, .*; .*not the axes"):
                remaining(place_m, moves, first, UNIT_M, H)
        else:
            assert remaining(place_m, moves, first, UNIT_M, H)[1] == pytest.approx(1 - GAIN_M / UNIT_M)


def test_a_batch_has_the_state_and_the_actions_moved_together(batches_with):
    (plain, pipeline, data), (moved, _, _) = batches_with(0.0), batches_with(0.02)
    for position in (0, 8):
        before, after = plain.batch(position), moved.batch(position)
        off_m = (after["state"] - before["state"])[:, :3] * 2  # as the norm stats say
        assert np.abs(off_m).max() > 0.02
        np.testing.assert_array_equal(after["state"][:, 3:], before["state"][:, 3:])
        np.testing.assert_array_equal(after["images"]["base_0_rgb"], before["images"]["base_0_rgb"])
        frames = moved.indices(position)
        wanted = moved.noise.corrective.chunks(frames, moved.chunk(frames)[0], off_m)
        told = pipeline.env_actions(after["actions"], data.state[frames])
        np.testing.assert_allclose(told, wanted, atol=1e-5)
        assert (after["actions"] != before["actions"]).any()


def test_a_process_that_has_a_part_of_the_rows_has_the_same_ones(batches_with):
    moved, _, _ = batches_with(0.02)
    part = batches_with(0.02)[0]
    part.rows = slice(2, 6)
    for name in ("state", "actions"):
        np.testing.assert_array_equal(part.batch(16)[name], moved.batch(16)[name][2:6])


def test_it_is_refused_where_the_actions_cannot_bring_a_hand_back():
    with pytest.raises(
        ConfigError,
        match=r"corrective_noise_m=0.01 with control_mode pd_ee_delta_pose and state=joints.*tcp_pose.*state=tcp",
    ):
        compose(["train.corrective_noise_m=0.01"])
    assert compose(["train.corrective_noise_m=0.01", "state=tcp"]).state.entries == ["tcp_pose", "finger1"]
    assert (
        compose(["experiment=libero_object_scratch", "train.corrective_noise_m=0.01"]).train.corrective_noise_m == 0.01
    )
