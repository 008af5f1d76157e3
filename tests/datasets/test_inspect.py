"""`pirig inspect` on every kind of input, whole and damaged."""

import json

import h5py
import numpy as np
import pytest

from pirig.datasets.inspect import look
from pirig.demos.manifest import episode_file, read_episode, write_episode
from tests.datasets.episodes import write_dataset


def text(path) -> str:
    """All that is shown and all that is lacking."""
    content = look(path)
    return "\n".join([*content.lines, *content.missing])


@pytest.fixture
def trajectory(tmp_path):
    """A file as ManiSkill's RecordEpisode writes it with obs_mode none."""
    path = tmp_path / "trajectory.none.pd_joint_pos.physx_cpu.h5"
    with h5py.File(path, "w") as file:
        for number in range(11):
            group = file.create_group(f"traj_{number}")
            group["actions"] = np.linspace(-1, 2, 40, dtype=np.float32).reshape(5, 8)
            group["env_states/actors/cube"] = np.zeros((6, 13), np.float32)
            group["success"] = np.array([0, 0, 0, 0, 1], bool)
    episodes = [{"episode_id": number, "episode_seed": number, "control_mode": "pd_joint_pos"} for number in range(11)]
    path.with_suffix(".json").write_text(json.dumps({"env_info": {"env_id": "PushCube-v1"}, "episodes": episodes}))
    return path


def test_h5_without_rgb(trajectory):
    found = text(trajectory)
    assert "traj_0" in found and "... and 9 more episodes" in found
    assert "[5, 8]" in found and "-1 .. 2" in found and "float32" in found
    assert "no rgb: run `pirig demos" in found


def test_h5_with_rgb_and_nan_actions(trajectory):
    with h5py.File(trajectory, "a") as file:
        for key in file:
            file[f"{key}/obs/sensor_data/base_camera/rgb"] = np.zeros((6, 8, 8, 3), np.uint8)
        file["traj_4/actions"][2, 1] = np.nan
    found = text(trajectory)
    assert "no rgb" not in found
    assert "episode 4, frame 2: a NaN or infinite action" in found


def test_truncated_h5(trajectory):
    whole = trajectory.read_bytes()
    trajectory.write_bytes(whole[: len(whole) // 2])
    assert "truncated or not an HDF5 file" in text(trajectory)


def test_demos(demos):
    found = text(demos)
    assert "4 kept of 5 tried, 5 to 8 steps" in found
    assert "PushCube-v1" in found and "image/base_0_rgb" in found and "[5, 32, 32, 3]" in found
    assert look(demos).missing == []


def test_surplus_and_missing_episodes(demos):
    write_episode(episode_file(demos, 99), read_episode(episode_file(demos, 1)))
    assert look(demos).missing == []
    episode_file(demos, 2).unlink()
    assert "1 of the manifest's episodes" in text(demos)


def test_demos_that_are_damaged_or_unfinished(demos):
    episode = read_episode(episode_file(demos, 1))
    episode["actions"][0, 0] = np.nan
    write_episode(episode_file(demos, 1), episode)
    file = episode_file(demos, 3)
    file.write_bytes(file.read_bytes()[:1000])
    (demos / "manifest.json").unlink()
    found = text(demos)
    assert "actions of step 0 are not finite" in found
    assert "truncated" in found
    assert "no manifest.json" in found


def test_npz(demos):
    file = episode_file(demos, 0)
    assert look(file).missing == []
    write_episode(file, {"actions": np.full((3, 7), np.inf)})
    found = text(file)
    assert "NOT FINITE" in found and "no rgb" in found and "no qpos" in found


def test_lerobot_folder(tmp_path, contract):
    folder = write_dataset(tmp_path / "lerobot", contract, range(3))
    found = text(folder)
    assert "LeRobot v3.0: 3 episodes, 18 frames at 20 Hz" in found
    assert "observation.images.base_0_rgb" in found and look(folder).missing == []
    (folder / "meta/pirig/contract.json").unlink()
    assert "expected a contract.json" in text(folder)
    (folder / "meta/info.json").write_text("{")
    assert "not valid JSON" in text(folder)


def test_nothing_and_unknown_kinds(tmp_path):
    with pytest.raises(ValueError, match="there is nothing"):
        look(tmp_path / "no")
    with pytest.raises(ValueError, match="no run, checkpoint, data set or demos"):
        look(tmp_path)
