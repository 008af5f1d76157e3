"""What the real lerobot 0.4.4 records, as images and as videos, is read with the same numbers and pictures; it reads what npz
episodes become."""

import numpy as np
import pytest

from pirig.config.load import compose
from pirig.datasets.lerobot.read import Dataset
from tests.datasets.kinova_recordings import BASE, FPS, HEIGHT, PROMPT, WIDTH, WRIST, data_set_of, make_recording
from tests.datasets.npz_episodes import arrays_of, write_episodes
from tests.datasets.real_lerobot import import_lerobot

pytestmark = pytest.mark.lerobot


@pytest.fixture(scope="module")
def lerobot():
    return import_lerobot()


def recorded(lerobot, folder, *, videos: bool):
    image = {
        "dtype": "video" if videos else "image",
        "shape": (HEIGHT, WIDTH, 3),
        "names": ["height", "width", "channels"],
    }
    vector = {"dtype": "float32", "shape": (8,), "names": None}
    features = {BASE: image, WRIST: image, "observation.state": vector, "action": vector}
    dataset = lerobot.LeRobotDataset.create(
        "test/mugs", FPS, features, root=folder, robot_type="kinova_gen3", use_videos=videos
    )
    for seed in range(3):
        episode = make_recording(seed)
        for step in range(24):
            dataset.add_frame({key: values[step] for key, values in episode.items()} | {"task": PROMPT})
        dataset.save_episode()
    dataset.finalize()
    return folder


@pytest.mark.parametrize("videos", [False, True], ids=["images", "videos"])
def test_a_recording_of_the_real_lerobot_is_read(lerobot, tmp_path, videos):
    folder = recorded(lerobot, tmp_path / "mugs", videos=videos)
    words = ["task=kinova", "size=tiny", f"demos.path={folder}", f"run.root={tmp_path / 'out'}"]
    dataset = Dataset(data_set_of(compose(words)))
    assert dataset.contract.prompt == PROMPT and dataset.lengths == [24] * 3
    for number in range(3):
        told, rows = make_recording(number), dataset.episode_rows(number)
        np.testing.assert_allclose(dataset.state[rows], told["observation.state"], atol=1e-6)
        np.testing.assert_allclose(dataset.actions[rows], told["action"], atol=1e-6)
        for role, key in (("base_0_rgb", BASE), ("left_wrist_0_rgb", WRIST)):
            for step in (0, 12, 23):
                picture = dataset.image(role, dataset.offsets[number] + step).astype(int)
                apart = [np.abs(picture - told[key][other]).mean() for other in range(24)]
                assert int(np.argmin(apart)) == step and apart[step] <= (4 if videos else 0)


def test_a_data_set_of_npz_episodes_is_read_by_the_real_lerobot(lerobot, tmp_path):
    """Every frame of two good files with a task each; of the bad one between them there is none."""
    bad = arrays_of(1) | {"actions": arrays_of(1)["actions"][:-1]}
    data = write_episodes(tmp_path, [arrays_of(0, task="Lift the bowl."), bad, arrays_of(2)])
    words = ["task=kinova", "size=tiny", f"demos.path={data}", f"run.root={tmp_path / 'out'}"]
    folder = data_set_of(compose(words))
    dataset = lerobot.LeRobotDataset("test/npz", root=folder)
    assert (dataset.num_episodes, dataset.num_frames, dataset.fps) == (2, 48, FPS)
    for index in range(48):
        item, held, frame = dataset[index], arrays_of(0 if index < 24 else 2), index % 24
        assert item["task"] == ("Lift the bowl." if index < 24 else PROMPT)
        np.testing.assert_allclose(item["observation.state"], held["states"][frame], atol=1e-6)
        np.testing.assert_allclose(item["action"], held["actions"][frame], atol=1e-6)
        for role, key in (("base_0_rgb", "agent_images"), ("left_wrist_0_rgb", "wrist_images")):
            pixels = (item[f"observation.images.{role}"].numpy().transpose(1, 2, 0) * 255).round().astype(np.uint8)
            np.testing.assert_array_equal(pixels, held[key][frame])
