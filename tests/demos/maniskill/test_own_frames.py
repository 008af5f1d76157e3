"""Trajectory files with pictures, recorded by ManiSkill's own wrapper: taken where they show what our cameras show."""

import shutil

import h5py
import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.demos.manifest import DemosManifest, episode_files, read_episode
from pirig.demos.maniskill.generate import generate
from pirig.demos.maniskill.trajectory import FileSource, from_file, read_index

OVERRIDES = ["task=push_cube", "camera=nowrist", "camera.resolution_px=32", "demos.count=1", "demos.workers=1"]


@pytest.fixture(scope="module")
def config():
    return compose(OVERRIDES)


@pytest.fixture(scope="module")
def recorded(config, tmp_path_factory):
    """The .h5 (and the .json beside it) of one planned episode, stepped again under ManiSkill's RecordEpisode."""
    import gymnasium
    import mani_skill.envs  # noqa: F401
    from mani_skill.utils.wrappers import RecordEpisode

    folder = tmp_path_factory.mktemp("recorded")
    generate(contract_of(config), config.task, config.demos, folder / "demos")
    episode = read_episode(episode_files(folder / "demos")[0])
    camera = {"shader_pack": "default", "base_camera": {"width": 32, "height": 32}}
    env = gymnasium.make(
        "PushCube-v1", obs_mode="rgb", control_mode="pd_ee_delta_pose", sensor_configs=camera, max_episode_steps=500
    )
    env = RecordEpisode(env, str(folder), trajectory_name="own", save_video=False, save_on_reset=False)
    env.reset(seed=int(episode["seed"]), options={"reconfigure": True})
    for action in episode["actions"]:
        env.step(action)
    env.flush_trajectory()
    env.close()
    return folder / "own.h5"


@pytest.fixture
def copied(recorded, tmp_path):
    for suffix in (".h5", ".json"):
        shutil.copy(recorded.with_suffix(suffix), tmp_path)
    return tmp_path / "own.h5"


def made(config, path, folder):
    from_file(contract_of(config), path, config.demos, folder)
    assert DemosManifest.load(folder).kept == 1
    return read_episode(episode_files(folder)[0])


def test_frames_that_fit_are_taken_as_they_are(config, recorded, tmp_path, capfd):
    episode = made(config, recorded, tmp_path / "demos")
    assert "demos: 1 episodes of own.h5 are taken with the file's own frames" in capfd.readouterr().out
    with h5py.File(recorded) as file:
        trajectory = file["traj_0"]
        np.testing.assert_array_equal(episode["image/base_0_rgb"], trajectory["obs/sensor_data/base_camera/rgb"][:-1])
        np.testing.assert_array_equal(episode["qpos"], trajectory["obs/agent/qpos"][:-1])
        np.testing.assert_array_equal(episode["actions"], trajectory["actions"])
    assert episode["success"] and episode["actions"].dtype == np.float32


def test_they_are_what_a_replay_renders(config, recorded):
    contract = contract_of(config)
    source = FileSource(contract, recorded, read_index(contract, recorded))
    source.open()
    (seed,) = source.episodes
    rendered = source.episode(seed)
    source.choose()
    taken = source.episode(seed)
    source.sim.close()
    assert set(taken) <= set(rendered) | {"success"}
    pictures = np.concatenate(list(taken["image/base_0_rgb"].parts()))
    apart = np.abs(pictures.astype(int) - rendered["image/base_0_rgb"])
    assert apart.mean() < 1 and (pictures != 0).any()
    np.testing.assert_allclose(taken["qpos"], rendered["qpos"], atol=5e-3)


def test_files_of_older_maniskills_keep_them_elsewhere(config, copied, tmp_path, capfd):
    with h5py.File(copied, "r+") as file:
        trajectory = file["traj_0"]
        frames = trajectory["obs/sensor_data/base_camera/rgb"][()]
        del trajectory["obs/sensor_data/base_camera"]
        opaque = np.concatenate([frames, np.full_like(frames[..., :1], 255)], -1)
        trajectory["obs/sensor_data/base_camera/Color"] = (opaque / 255).astype(np.float32)
    episode = made(config, copied, tmp_path / "demos")
    assert "are taken with the file's own frames" in capfd.readouterr().out
    np.testing.assert_array_equal(episode["image/base_0_rgb"], frames[:-1])
    with h5py.File(copied, "r+") as file:
        file["traj_0/obs/sensor_data/base_camera/Color"][3, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match=r"own.h5: /traj_0/obs/sensor_data/base_camera/Color: frame 3 holds nan"):
        made(config, copied, tmp_path / "others")


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (["camera.resolution_px=48"], "its frames of base_camera are uint8"),
        (["control.shader=minimal"], "its shader is default, this run's minimal"),
        (["camera.show_goal=true"], "its cameras hide the goal"),
        (["state=joints_goal"], "it holds no goal_pos"),
        (["demos.labels=true"], "without the labels"),
    ],
)
def test_what_the_file_says_of_itself_is_asked_first(recorded, capfd, overrides, reason):
    config = compose([*OVERRIDES, *overrides])
    contract = contract_of(config)
    source = FileSource(contract, recorded, read_index(contract, recorded), config.demos.labels)
    source.choose()
    said = capfd.readouterr().out
    assert not source.own and "1 episodes of own.h5 are replayed with this run's cameras: " in said and reason in said


@pytest.mark.parametrize(
    ("path", "change", "reason"),
    [
        ("obs/sensor_data/base_camera/rgb", lambda frames: frames // 3, "its first frame of base_camera is"),
        ("env_states/actors/cube", lambda poses: poses + 0.01, "its first actors/cube is not this simulator's"),
        (
            "obs/sensor_param/base_camera/intrinsic_cv",
            lambda matrix: matrix * 1.1,
            "its first base_camera intrinsic_cv",
        ),
    ],
)
def test_an_episode_whose_first_frame_is_another_is_replayed(config, copied, tmp_path, capfd, path, change, reason):
    with h5py.File(copied, "r+") as file:
        dataset = file[f"traj_0/{path}"]
        dataset[...] = change(dataset[...])
    episode = made(config, copied, tmp_path / "demos")
    said = capfd.readouterr().out
    assert "is replayed: " in said and reason in said
    with h5py.File(copied) as file:
        frames = file["traj_0/obs/sensor_data/base_camera/rgb"][:-1]
    assert np.abs(episode["image/base_0_rgb"].astype(int) - frames).mean() > 5 or "cube" in path or "param" in path
