"""Frames after which nothing moves are not trained on, neither as a chunk's beginning nor inside one."""

import dataclasses

import numpy as np
import pytest

from pirig.training.batches import BatchSettings, prepare
from pirig.training.idle import TOLERANCE, idle_frames

LENGTHS = [9, 7]  # as in conftest


def joint(*values):
    """A state of one joint that goes through these values, and of one number that never moves."""
    return np.stack([np.array(values, np.float32), np.full(len(values), 0.3, np.float32)], axis=1)


def test_a_wait_is_idle_up_to_where_it_ends():
    state = joint(0, 1, 2, 2, 2, 2, 2, 3, 4)  # stands still from frame 2 to frame 6
    assert idle_frames(state, [9], 1).tolist() == [2, 3, 4, 5]
    assert idle_frames(state, [9], 2).tolist() == [2, 3, 4]
    assert idle_frames(state, [9], 4).tolist() == [2]
    assert idle_frames(state, [9], 5).tolist() == []


def test_a_gripper_that_closes_is_motion_and_noise_is_none():
    arm, gripper = np.zeros(6, np.float32), np.array([0.04, 0.04, 0.03, 0.02, 0.018, 0.018], np.float32)
    state = np.stack([arm, gripper], axis=1)
    assert idle_frames(state, [6], 1).tolist() == [0, 4]
    noisy = state + np.float32(0.2 * TOLERANCE * gripper.std()) * np.array([[0, 1], [0, -1]] * 3, np.float32)
    assert idle_frames(noisy, [6], 1).tolist() == [0, 4]


def test_an_episode_ends_where_it_ends():
    """Two episodes that stand still: the last frames of each are kept, and the step to the next episode is none."""
    state = joint(0, 0, 0, 0, 5, 5, 5)
    assert idle_frames(state, [4, 3], 2).tolist() == [0, 1, 4]
    assert idle_frames(state, [4, 3], 3).tolist() == [0]


def test_batches_and_chunks_pass_over_idle_frames(small, capsys):
    waits = [2, 3, 4, 11, 12]  # of episodes of 9 and 7 frames
    state = np.arange(16, dtype=np.float32)[:, None].repeat(3, axis=1)
    for frame in waits:
        state[frame + 1] = state[frame]
    small.dataset.state = state
    options = {"held_out": np.array([0, 11])}
    settings = BatchSettings(batch_size=4, seed=0, idle_steps=1)
    some, every = (
        prepare(small.pipeline, small.dataset, small.dataset.frames, chosen, **options)
        for chosen in (settings, dataclasses.replace(settings, idle_steps=0))
    )
    assert set(every.used) - set(some.used) == set(waits) - {11} and 0 not in some.used
    assert "5 of 16 frames are not trained on: nothing moves in the 1 steps after them" in capsys.readouterr().err
    begun = np.concatenate([some.indices(position) for position in range(0, 400, 4)])
    assert set(begun) == set(some.used)
    numbers, real = some.chunk(np.array([1, 3, 8, 10]))  # one that waits itself is in validation's hands only
    assert numbers.tolist() == [[1, 5, 6, 7], [5, 6, 7, 8], [8, 8, 8, 8], [10, 13, 14, 15]]
    assert real.tolist() == [[True] * 4, [True] * 4, [True, False, False, False], [True] * 4]
    np.testing.assert_array_equal(some.gather(np.array([10]))["actions"], every.actions[numbers[3:]])
    numbers, real = every.chunk(np.array([1, 7]))
    assert numbers.tolist() == [[1, 2, 3, 4], [7, 8, 8, 8]] and real[1].tolist() == [True, True, False, False]


def test_it_needs_a_state(small, tmp_path):
    with pytest.raises(ValueError, match=r"train\.idle_steps=2 with a state of no numbers: .* choose a state="):
        idle_frames(np.zeros((5, 0), np.float32), [5], 2)
    with pytest.raises(ValueError, match=r"train\.idle_steps is -1; expected at least 0"):
        small.train(tmp_path, idle_steps=-1)
