"""Batches and statistics of actions relative to the state, against the direct way: cut, subtract, normalise."""

import dataclasses

import numpy as np
import pytest

from pirig.datasets.lerobot.read import Dataset
from pirig.datasets.norm_stats import compute
from pirig.policies.assets import card_of
from pirig.training.batches import BatchSettings, prepare
from tests.training.conftest import DIM, HORIZON, SmallDataset, small_pipeline

COUNTS = (2, -1)


class Arm(SmallDataset):
    """Targets a little ahead of joints that are far from 0, as an arm's are, and a gripper."""

    rows_without = Dataset.rows_without

    def __init__(self):
        super().__init__()
        self.episode_count = len(self.lengths)
        self.state = (3.0 + np.cumsum(0.02 * self.state, axis=0)).astype(np.float32)
        self.actions = (self.state + 0.01 * self.actions).astype(np.float32)
        self.actions[:, 2] = np.arange(len(self.actions)) % 2

    def chunks(self, episodes):
        """Raw chunks [n, A, 3] and states [n, 3], cut one by one."""
        found = []
        for one in episodes:
            start, end = sum(self.lengths[:one]), sum(self.lengths[: one + 1])
            for row in range(start, end):
                steps = [self.actions[min(row + step, end - 1)] for step in range(HORIZON)]
                found.append((np.stack(steps), self.state[row]))
        chunks, states = zip(*found, strict=True)
        return np.stack(chunks), np.stack(states)


@pytest.fixture(scope="module")
def arm():
    return Arm()


def pipeline_of(dataset, normalization="quantile"):
    pipeline = dataclasses.replace(small_pipeline(), relative_to_state=COUNTS, normalization=normalization)
    return dataclasses.replace(pipeline, stats=compute(dataset, (), pipeline.relative))


def test_statistics_are_those_of_every_step_of_every_chunk(arm):
    for held_out in ((), (0,)):
        stats = compute(arm, held_out, pipeline_of(arm).relative)
        chunks, states = arm.chunks([one for one in range(2) if one not in held_out])
        chunks = chunks.astype(np.float64)
        chunks[..., :2] -= states[:, None, :2]
        rows = chunks.reshape(-1, 3)
        for kind, expected in (("mean", rows.mean(0)), ("std", rows.std(0)), ("q01", np.quantile(rows, 0.01, axis=0))):
            np.testing.assert_allclose(getattr(stats["actions"], kind), expected, atol=2e-7)
        np.testing.assert_array_equal(stats["state"].mean, compute(arm, held_out)["state"].mean)
    assert np.abs(compute(arm)["actions"].mean[:2]).min() > 1 > np.abs(stats["actions"].mean[:2]).max()


@pytest.mark.parametrize("normalization", ["zscore", "quantile"])
def test_a_gathered_chunk_is_the_direct_one_also_at_an_episodes_end(arm, normalization):
    pipeline = pipeline_of(arm, normalization)
    frames = np.arange(arm.frame_count)
    found = prepare(pipeline, arm, arm.frames, BatchSettings(batch_size=4, seed=0)).gather(frames)["actions"]
    chunks, states = arm.chunks(range(2))
    expected = pipeline.model_actions(chunks, states)
    assert found.dtype == np.float32 and found.shape == (arm.frame_count, HORIZON, DIM)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    last = arm.lengths[0] - 1
    assert (found[last] == found[last, 0]).all()  # the last action, repeated, relative to the last state
    np.testing.assert_allclose(pipeline.env_actions(found, states), chunks, atol=1e-6)


def test_without_relative_numbers_the_batch_is_made_of_the_rows_as_before(arm):
    pipeline = small_pipeline()
    batches = prepare(pipeline, arm, arm.frames, BatchSettings(batch_size=4, seed=0))
    assert batches.starts is None and batches.actions.dtype == np.float32
    np.testing.assert_array_equal(batches.actions[:, :3], (arm.actions / np.float64(1 + 1e-6)).astype(np.float32))


def test_the_checkpoints_record_says_what_is_relative_and_its_probe_is_so(arm):
    pipeline = pipeline_of(arm)
    card = card_of(pipeline, arm)
    assert card.relative_to_state == (2, -1)
    np.testing.assert_allclose(card.probe["env_action"], arm.actions[0], atol=1e-6)
    plain = dataclasses.replace(pipeline, relative_to_state=())
    assert np.abs(np.subtract(plain.probe(arm.state[0], arm.actions[0])["action"], card.probe["action"])).max() > 5
