"""Order, action chunks at episode ends, restart, and the prefetch thread."""

import dataclasses
import threading

import numpy as np
import pytest

from pirig.config.schema import TrainConfig
from pirig.training.batches import Batches, BatchSettings, Prefetch, prepare
from pirig.training.state_noise import noisy
from tests.training.conftest import SmallDataset, small_pipeline

LENGTHS = [5, 3]


def make_batches(batch_size=3, seed=0, **changes):
    count = sum(LENGTHS)
    number = np.arange(count)
    arrays = {
        "images": {"base_0_rgb": np.broadcast_to(number[:, None, None, None], (count, 4, 4, 3)).astype(np.uint8)},
        "state": number[:, None].astype(np.float32),
        "tokens": np.ones((count, 10), np.int32),
        "token_mask": np.arange(10)[None] < np.full((count, 1), 6),
        "actions": number[:, None].astype(np.float32),
        "lengths": LENGTHS,
        **changes,
    }
    return Batches(**arrays, horizon=4, batch_size=batch_size, seed=seed)


def test_chunks_repeat_the_last_action_of_their_own_episode():
    batch = make_batches().gather(np.array([0, 3, 5, 7]))
    expected = [[0, 1, 2, 3], [3, 4, 4, 4], [5, 6, 7, 7], [7, 7, 7, 7]]
    np.testing.assert_array_equal(batch["actions"][..., 0], expected)
    np.testing.assert_array_equal(batch["images"]["base_0_rgb"][:, 0, 0, 0], [0, 3, 5, 7])


def test_a_label_may_lack_in_whole_tasks_and_nowhere_else():
    label, tasks = np.zeros((8, 3), np.float32), np.array(["cup"] * 5 + ["bowl"] * 3, object)
    label[5:] = np.nan
    batches = make_batches(labels={"cup_position_m": label}, tasks=tasks)
    assert np.isnan(batches.labels["cup_position_m"][5:]).all()
    for of, others in ((None, 2), (np.array(["cup"] * 8, object), 2)):
        with pytest.raises(ValueError, match=rf"of frame 5 \(and {others} more\) are not finite"):
            make_batches(labels={"cup_position_m": label}, tasks=of)
    label[2] = np.nan
    with pytest.raises(ValueError, match=r"labels\.cup_position_m of frame 2 \(and 0 more\) are not finite"):
        make_batches(labels={"cup_position_m": label}, tasks=tasks)
    label[:] = np.nan
    with pytest.raises(ValueError, match=r"of frame 0 \(and 7 more\) are not finite"):
        make_batches(labels={"cup_position_m": label}, tasks=tasks)


def test_unused_token_columns_are_dropped():
    assert make_batches().batch(0)["tokens"].shape == (3, 6)


def test_every_epoch_sees_every_frame_once_in_another_order():
    batches = make_batches(batch_size=4)
    epochs = [np.concatenate([batches.indices(start), batches.indices(start + 4)]) for start in (0, 8)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(8))
    assert list(epochs[0]) != list(epochs[1])


def test_order_depends_on_seed_and_position_only():
    one, same, other = make_batches(seed=1), make_batches(seed=1), make_batches(seed=2)
    np.testing.assert_array_equal(one.indices(21), same.indices(21))
    stream = [np.concatenate([b.indices(p) for p in range(0, 24, 3)]) for b in (one, other)]
    assert list(stream[0]) != list(stream[1])
    wide = make_batches(seed=1, batch_size=6)  # the stream itself does not depend on the batch size
    np.testing.assert_array_equal(wide.indices(3), np.concatenate([one.indices(3), one.indices(6)]))


def test_batch_larger_than_the_data_set():
    assert len(make_batches(batch_size=20).indices(0)) == 20


def test_bad_data_is_named():
    actions = np.zeros((8, 1), np.float32)
    actions[4] = np.nan
    with pytest.raises(ValueError, match="actions of frame 4"):
        make_batches(actions=actions)
    with pytest.raises(ValueError, match="images of base_0_rgb: 7"):
        make_batches(images={"base_0_rgb": np.zeros((7, 4, 4, 3), np.uint8)})


def test_prefetch_yields_the_same_batches_and_ends_its_thread():
    batches = make_batches()
    with Prefetch(batches, 6) as stream:
        for position in (6, 9, 12):
            np.testing.assert_array_equal(next(stream)["state"], batches.batch(position)["state"])
    assert not any(thread.name == "pirig-prefetch" for thread in threading.enumerate())


def test_prefetch_passes_errors_on():
    batches = make_batches()
    batches.images["base_0_rgb"] = batches.images["base_0_rgb"][:0]
    with Prefetch(batches, 0) as stream, pytest.raises(IndexError):
        next(stream)


def test_noise_on_a_share_of_the_samples_leaves_the_others_as_they_are():
    data, pipeline = SmallDataset(), small_pipeline()
    settings = BatchSettings(batch_size=6, seed=3)
    plain = prepare(pipeline, data, data.frames, settings)
    half = dataclasses.replace(settings, state_noise=1.0, state_noise_share=0.5)
    noisy_half = prepare(pipeline, data, data.frames, half)
    positions = range(0, 600, 6)
    moved = [(noisy_half.batch(at)["state"] - plain.batch(at)["state"])[:, :3].any(axis=1).tolist() for at in positions]
    assert 0.4 < np.mean(moved) < 0.6
    assert {0, 1} <= {int(row) for row in moved[0] + moved[1]}  # drawn for each sample, not for the batch


def test_noise_goes_to_the_entries_that_are_named():
    assert noisy([], ("qpos8", "goal_pos"), 11).tolist() == [1] * 11
    assert noisy(["goal_pos"], ("qpos8", "goal_pos"), 11).tolist() == [0] * 8 + [1] * 3
    assert not noisy(["goal_pos"], ("qpos8",), 8).any()  # the same recipe without a goal in the state
    with pytest.raises(ValueError, match=r"goal_position.*goal_pos"):
        noisy(["goal_position"], ("qpos8",), 8)


def test_noise_on_the_state_is_new_in_every_batch_and_a_function_of_its_position():
    data, pipeline = SmallDataset(), small_pipeline()
    settings = BatchSettings(batch_size=6, seed=3)
    plain = prepare(pipeline, data, data.frames, settings)
    noise = dataclasses.replace(settings, state_noise=0.1)
    noisy, part = (prepare(pipeline, data, data.frames, noise, rows=rows) for rows in (None, slice(1, 6, 2)))
    batches = [noisy.batch(position) for position in (0, 6 * 50, 0)]
    away = [
        batch["state"][:, :3] - plain.batch(at)["state"][:, :3] for batch, at in zip(batches, (0, 300, 0), strict=True)
    ]
    np.testing.assert_array_equal(away[0], away[2])
    assert np.abs(away[0] - away[1]).min() > 0 and 0.05 < np.std(away[:2]) < 0.2
    np.testing.assert_array_equal(part.batch(0)["state"], batches[0]["state"][1::2])  # one of several processes
    for name in ("actions", "tokens"):
        np.testing.assert_array_equal(batches[0][name], plain.batch(0)[name])
    np.testing.assert_array_equal(noisy.gather(np.arange(4))["state"], plain.gather(np.arange(4))["state"])


def test_every_key_of_the_batches_is_taken_from_the_training_settings():
    """A key that this dataclass has and TrainConfig lacks, or that `of` forgets, would train with its default."""
    asked = TrainConfig(
        batch_size=6,
        seed=3,
        state_noise=0.1,
        state_noise_share=0.5,
        state_noise_on=["qpos8"],
        corrective_noise_m=0.01,
        sample_weights="some.npz",
        idle_steps=2,
    )
    taken = dataclasses.asdict(BatchSettings.of(asked))
    for name, value in taken.items():
        wanted = getattr(asked, name)
        assert value == (tuple(wanted) if isinstance(wanted, list) else wanted)
    usual = dataclasses.asdict(BatchSettings.of(TrainConfig()))
    assert all(taken[name] != usual[name] for name in taken)
