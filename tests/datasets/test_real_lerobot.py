"""The real lerobot 0.4.4 reads what we write (`make test-lerobot` installs it)."""

import json

import numpy as np
import pytest

from pirig.transforms.state import build_state
from tests.datasets.episodes import make_contract, make_episode, write_dataset
from tests.datasets.real_lerobot import import_lerobot

pytestmark = pytest.mark.lerobot


@pytest.fixture(scope="module")
def lerobot():
    return import_lerobot()


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("ours") / "lerobot", make_contract(), range(3))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory, lerobot):
    """The same episodes through lerobot's own add_frame and save_episode."""
    folder = tmp_path_factory.mktemp("theirs") / "lerobot"
    info = json.loads((write_dataset(folder.with_name("a"), make_contract(), [0]) / "meta/info.json").read_text())
    features = {
        key: feature | {"shape": tuple(feature["shape"])}
        for key, feature in info["features"].items()
        if key.startswith(("observation", "action"))
    }
    dataset = lerobot.LeRobotDataset.create(
        "test/theirs", 20, features, root=folder, robot_type="panda_wristcam", use_videos=False
    )
    for seed in range(3):
        for frame in frames(seed):
            dataset.add_frame(frame)
        dataset.save_episode()
    dataset.finalize()
    return folder


def frames(seed):
    contract = make_contract()
    episode = make_episode(seed, contract)
    state = build_state(contract.state, episode)
    for step in range(len(state)):
        images = {f"observation.images.{c.role}": episode[f"image/{c.role}"][step] for c in contract.cameras}
        yield {
            **images,
            "observation.state": state[step],
            "action": episode["actions"][step],
            "task": contract.prompt,
        }


def test_every_frame_is_read_exactly(lerobot, ours):
    dataset = lerobot.LeRobotDataset("test/ours", root=ours)
    assert (dataset.num_episodes, dataset.num_frames, dataset.fps) == (3, 18, 20)
    index = 0
    for seed in range(3):
        for step, frame in enumerate(frames(seed)):
            item = dataset[index]
            assert item["task"] == frame["task"]
            assert (int(item["episode_index"]), int(item["frame_index"]), int(item["index"])) == (seed, step, index)
            np.testing.assert_array_equal(item["action"], frame["action"])
            np.testing.assert_array_equal(item["observation.state"], frame["observation.state"])
            for key in dataset.meta.camera_keys:
                pixels = (item[key].numpy().transpose(1, 2, 0) * 255).round().astype(np.uint8)
                np.testing.assert_array_equal(pixels, frame[key])
            index += 1


def test_labels_are_ordinary_features(lerobot, tmp_path):
    contract = make_contract()
    dataset = lerobot.LeRobotDataset(
        "test/ours", root=write_dataset(tmp_path / "lerobot", contract, range(2), labels=True)
    )
    assert dataset.meta.features["labels.cube_position_m"]["names"] == ["x_m", "y_m", "z_m"]
    item = dataset[5 + 3]
    np.testing.assert_allclose(item["labels.cube_position_m"], [0.3, 0.6, 0.9], rtol=1e-6)
    np.testing.assert_array_equal(item["labels.cube_quat_wxyz"], [1, 0, 0, 0])
    assert dataset.meta.stats["labels.cube_position_m"]["max"].shape == (3,)


def test_action_chunks_stop_at_the_episodes_end(lerobot, ours):
    dataset = lerobot.LeRobotDataset("test/ours", root=ours, delta_timestamps={"action": [i / 20 for i in range(4)]})
    item = dataset[3]
    assert item["action"].shape == (4, 7)
    assert item["action_is_pad"].tolist() == [False, False, True, True]


def test_one_episode_can_be_chosen(lerobot, ours):
    dataset = lerobot.LeRobotDataset("test/ours", root=ours, episodes=[1])
    assert (dataset.num_episodes, len(dataset)) == (1, 6)
    assert int(dataset[0]["index"]) == 5


def test_metadata_equals_what_lerobot_itself_writes(lerobot, ours, theirs):
    left, right = (lerobot.LeRobotDatasetMetadata("test/x", root=folder) for folder in (ours, theirs))
    assert left.info == right.info
    assert left.tasks.equals(right.tasks)
    assert left.episodes.features.keys() == right.episodes.features.keys()
    assert left.episodes[2] == right.episodes[2]
    for key in ("action", "observation.state", "timestamp", "index"):
        for name in ("min", "max", "mean", "count"):
            assert left.stats[key][name].shape == right.stats[key][name].shape
            np.testing.assert_allclose(left.stats[key][name], right.stats[key][name], rtol=1e-5, atol=1e-6)
    for key in left.camera_keys:
        assert {n: v.shape for n, v in left.stats[key].items()} == {n: v.shape for n, v in right.stats[key].items()}
        np.testing.assert_allclose(left.stats[key]["mean"], right.stats[key]["mean"], atol=0.05)
