"""Recorded data that no simulator can be asked of: what is wrong is named by number, what is healthy stays silent."""

import numpy as np
import pytest

from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.datasets.lerobot.read import Dataset
from pirig.gates import recorded
from pirig.gates.ask import reports
from pirig.stages import stats
from tests.datasets.kinova_recordings import data_set_of, make_recording, write_recording

LONG = 80


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A healthy data set, its targets one frame ahead, beside its config."""
    root = tmp_path_factory.mktemp("recorded")
    folder = write_recording(root / "mugs", episodes=[_episode(seed) for seed in range(3)])
    config = compose(["task=kinova", "size=tiny", f"demos.path={folder}", f"run.root={root / 'out'}"])
    return config, data_set_of(config)


def _episode(seed):
    episode = make_recording(seed, LONG)
    return {key: values % 251 if values.ndim == 4 else values for key, values in episode.items()}


@pytest.fixture
def dataset(made):
    return Dataset(made[1])


def shifted(dataset: Dataset, frames: int, numbers=slice(None)) -> Dataset:
    """Targets so many frames ahead of the state (behind it where negative), episode by episode."""
    dataset.actions = dataset.actions.copy()
    for episode in range(dataset.episode_count):
        rows = dataset.episode_rows(episode)
        place = np.clip(np.arange(dataset.lengths[episode]) + frames, 0, dataset.lengths[episode] - 1)
        dataset.actions[rows, numbers] = dataset.state[rows][place][:, numbers]
    return dataset


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_targets_that_lead_are_healthy(dataset, frames):
    leads = recorded.leads_of(shifted(dataset, frames))
    assert {one.frames for one in leads} == {frames} and len(leads) == 8
    assert recorded.lead(dataset) == [] and recorded.moves(dataset) == [] and recorded.pictures(dataset) == []


def test_noise_and_a_lag_of_the_arm_are_healthy(dataset):
    random = np.random.default_rng(0)
    shifted(dataset, 3).actions += random.normal(0, 0.003, dataset.actions.shape).astype(np.float32)
    assert recorded.lead(dataset) == []


@pytest.mark.parametrize(
    ("frames", "numbers", "words"),
    [
        (0, slice(None), ["joint 1, joint 2, joint 3", "the gripper", "just the state of the same frame again", "record what"]),
        (0, slice(2, 3), ["the targets of joint 3 are just the state"]),
        (0, slice(7, 8), ["the targets of the gripper are just the state"]),
        (-1, slice(None), ["behind the state", "joint 1 by 1 frames", "shift the action column"]),
        (-3, slice(4, 5), ["behind the state (joint 5 by 3 frames), expected 0 to 9 frames ahead"]),
        (12, slice(None), ["ahead of the state", "by 12 frames", "expected 0 to 9 frames ahead"]),
    ],
)  # fmt: skip
def test_rows_of_state_and_action_that_do_not_belong_together_are_named(dataset, frames, numbers, words):
    said = " ".join(recorded.lead(shifted(dataset, frames, numbers)))
    assert all(word in said for word in words), said


def test_the_state_again_with_a_little_noise_is_the_state_again(dataset):
    shifted(dataset, 0).actions += np.random.default_rng(0).normal(0, 1e-4, dataset.actions.shape).astype(np.float32)
    assert "just the state of the same frame again" in recorded.lead(dataset)[0]


def test_an_arm_that_stands_still_is_named_with_its_episode(dataset):
    dataset.state = dataset.state.copy()
    dataset.state[dataset.episode_rows(1), :7] = 0.3
    assert recorded.moves(dataset) == ["no joint moves in 1 of 3 episodes (first: episode 1); give demos.leave_out=[1]"]


def test_a_joint_that_is_told_to_move_and_does_not_is_named(dataset):
    dataset.state = dataset.state.copy()
    dataset.state[:, 4] = 0.3
    assert "joint 5 never moves though it is told to" in recorded.moves(dataset)[0]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda image: np.repeat(image[..., :1], 3, axis=-1), "no colours: a grey, infrared or depth"),
        (lambda image: image // 10, "too dark, or more than 8 bits"),
        (lambda image: 230 + image // 11, "overexposed"),
        (lambda image: np.where(image > 90, 255, 0).astype(np.uint8), "clipped, perhaps from 16 bits"),
    ],
)
def test_pictures_that_no_lit_scene_gives_are_named(dataset, change, word):
    image = type(dataset).image
    dataset.image = lambda role, index: change(image(dataset, role, index))
    said = recorded.pictures(dataset)
    assert len(said) == 2 and all(word in sentence for sentence in said)


def test_doctor_asks_a_recording_and_no_simulated_data_set(made):
    config, folder = made
    stats.make(config, places_of(config))
    report = dict(reports(folder))[f"data set {folder}"]
    assert report.good and {"lead", "moves", "pictures"} <= set(report.found)
