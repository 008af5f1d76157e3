"""Conversion of demos, and every bad input it has to name before anything is written."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from pirig.contract import ContractError
from pirig.datasets.from_demos import convert
from pirig.datasets.lerobot.read import Dataset
from pirig.demos.manifest import episode_file, read_episode, write_episode
from tests.datasets.episodes import make_contract, make_episode


@pytest.fixture
def target(tmp_path):
    return tmp_path / "lerobot"


def spoil(demos, seed, **changes):
    """Changes arrays of one episode; None removes one."""
    file = episode_file(demos, seed)
    episode = read_episode(file) | {key.replace("__", "/"): value for key, value in changes.items()}
    write_episode(file, {key: value for key, value in episode.items() if value is not None})


def refused(demos, target, contract, match):
    with pytest.raises(ValueError, match=match) as caught:
        convert(demos, target, contract)
    assert not target.exists() and [path.name for path in target.parent.iterdir()] == [demos.name]
    return str(caught.value)


def test_demos_become_a_data_set(demos, target, contract):
    convert(demos, target, contract)
    dataset = Dataset(target)
    assert dataset.seeds == [0, 1, 2, 3]
    assert {key: dataset.provenance[key] for key in ("kept", "tried", "left_out")} == {
        "kept": 4,
        "tried": 5,
        "left_out": 1,
    }
    np.testing.assert_array_equal(dataset.actions[5:11], make_episode(1, contract)["actions"])
    with pytest.raises(FileExistsError):
        convert(demos, target, contract)


def label(demos, seeds, **values):
    for seed in seeds:
        length = len(make_episode(seed, make_contract())["actions"])
        labels = {
            f"labels/{name}": value + np.arange(length, dtype=np.float32)[:, None] for name, value in values.items()
        }
        spoil(demos, seed, **labels)


def test_labels_become_columns_that_do_not_touch_the_others(demos, target, contract):
    convert(demos, target.with_name("plain"), contract)
    label(demos, range(4), cube_position_m=np.ones(3, np.float32), cube_quat_wxyz=np.zeros(4, np.float32))
    convert(demos, target, contract, labels=True)
    plain, labelled = Dataset(target.with_name("plain")), Dataset(target)
    assert plain.labels == {} and list(labelled.labels) == ["cube_position_m", "cube_quat_wxyz"]
    np.testing.assert_array_equal(labelled.labels["cube_position_m"][5:11, 0], np.arange(1.0, 7.0))
    np.testing.assert_array_equal(labelled.state, plain.state)
    assert labelled.picture("base_0_rgb", 7) == plain.picture("base_0_rgb", 7)
    features = labelled.info["features"]
    assert features["labels.cube_position_m"] == {"dtype": "float32", "shape": [3], "names": ["x_m", "y_m", "z_m"]}
    assert {key: value for key, value in features.items() if not key.startswith("labels.")} == plain.info["features"]
    stats = json.loads((target / "meta/stats.json").read_text())
    assert stats["labels.cube_position_m"]["min"] == [1, 1, 1]
    convert(demos, target.with_name("unasked"), contract)  # the demos have labels, nobody asked for them
    assert Dataset(target.with_name("unasked")).content_hash == plain.content_hash


def test_labels_that_are_missing_or_differ_are_named(demos, target, contract):
    with pytest.raises(ValueError, match=r"episode_0\.npz: labels none.*demos\.labels=true"):
        convert(demos, target, contract, labels=True)
    label(demos, range(4), cube_position_m=np.ones(3, np.float32))
    label(demos, [2], sphere_position_m=np.ones(3, np.float32))
    with pytest.raises(
        ValueError, match=r"episode_2\.npz: labels cube_position_m, sphere_position_m.*has cube_position_m"
    ):
        convert(demos, target, contract, labels=True)
    spoil(demos, 2, labels__sphere_position_m=None, labels__cube_position_m=np.zeros((3, 3), np.float32))
    with pytest.raises(ValueError, match=r"episode_2\.npz: label cube_position_m is \[3, 3\]"):
        convert(demos, target, contract, labels=True)
    spoil(demos, 2, labels__cube_position_m=np.full((7, 3), np.nan, np.float32))
    with pytest.raises(ValueError, match=r"episode_2\.npz: label cube_position_m of step 0 are not finite"):
        convert(demos, target, contract, labels=True)
    assert not target.exists()


def test_an_episode_without_images(demos, target, contract):
    spoil(demos, 2, image__base_0_rgb=None, image__left_wrist_0_rgb=None)
    message = refused(demos, target, contract, "no rgb of camera base_0_rgb .*no images at all.*pirig demos")
    assert "episode_2" in message


def test_a_camera_that_the_demos_lack(demos, target, contract):
    spoil(demos, 1, image__left_wrist_0_rgb=None)
    refused(demos, target, contract, r"no rgb of camera left_wrist_0_rgb \(it has image/base_0_rgb\)")


def test_images_of_another_size_or_type(demos, target, contract):
    spoil(demos, 0, image__base_0_rgb=np.zeros((5, 16, 16, 3), np.uint8))
    refused(demos, target, contract, r"\[5, 16, 16, 3\], expected uint8 \[5, 32, 32, 3\]")
    spoil(demos, 0, image__base_0_rgb=np.zeros((5, 32, 32, 3), np.float32))
    refused(demos, target, contract, "is float32")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_actions_and_state_that_are_not_finite(demos, target, contract, value):
    episode = make_episode(3, contract)
    episode["actions"][4, 1] = value
    spoil(demos, 3, actions=episode["actions"])
    refused(demos, target, contract, r"episode_3.*actions of step 4 are not finite")
    episode = make_episode(3, contract)
    episode["qpos"][2, 0] = value
    spoil(demos, 3, actions=episode["actions"], qpos=episode["qpos"])
    refused(demos, target, contract, r"episode_3.*state of step 2 are not finite")


def test_actions_of_a_foreign_control_mode(demos, target, contract):
    episode = make_episode(0, contract)
    episode["actions"][1, 3] = 2.1
    spoil(demos, 0, actions=episode["actions"])
    refused(demos, target, contract, r"action 3 of step 1 is 2\.1, pd_ee_delta_pose allows -1\.\.1")
    spoil(demos, 0, actions=np.zeros((5, 8), np.float32))
    refused(demos, target, contract, r"actions \[5, 8\].*expected \[T, 7\]")


def test_lengths_that_differ(demos, target, contract):
    spoil(demos, 0, qpos=np.zeros((6, 9), np.float32), goal_pos=np.zeros((6, 3), np.float32))
    refused(demos, target, contract, r"actions \[5, 7\] and state \[6, 11\]")
    spoil(demos, 0, qpos=np.zeros((6, 9), np.float32))
    refused(demos, target, contract, "episode_0")


def test_a_state_entry_that_the_task_does_not_offer(demos, target, contract):
    spoil(demos, 0, goal_pos=None)
    refused(demos, target, contract, "the state needs 'goal_pos'")


def test_demos_of_another_contract(demos, target, contract):
    ours = dataclasses.replace(contract, control_mode="pd_joint_delta_pos")
    with pytest.raises(ContractError, match="'pd_joint_delta_pos' != 'pd_ee_delta_pose'"):
        convert(demos, target, ours)
    with pytest.raises(ContractError, match="fps: 10 != 20"):
        convert(demos, target, dataclasses.replace(contract, fps=10))


def test_truncated_missing_and_unfinished_demos(demos, target, contract):
    file = episode_file(demos, 2)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    refused(demos, target, contract, "episode_2.*truncated")
    file.unlink()
    refused(demos, target, contract, "missing: episode_2.npz")
    (demos / "manifest.json").unlink()
    refused(demos, target, contract, "pirig demos")


def test_an_unfinished_conversion_reads_no_image_twice(demos, target, contract, monkeypatch):
    from pirig.datasets import from_demos
    from pirig.datasets.lerobot import write as lerobot_write

    def full_disk(*arguments, **named):
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(lerobot_write, "_require_rows", full_disk)
        with pytest.raises(OSError, match="No space"):
            convert(demos, target, contract)
    monkeypatch.setattr(from_demos, "images_of", lambda *a: pytest.fail("read the images of a finished part"))
    convert(demos, target, contract)
    assert json.loads((target / "meta/info.json").read_text())["total_episodes"] == 4


def test_the_disk_is_asked_first_and_finished_parts_count(demos, target, contract, monkeypatch):
    from pirig.datasets.lerobot import write as lerobot_write
    from pirig.files import space

    def free(count):
        monkeypatch.setattr(space.shutil, "disk_usage", lambda _: SimpleNamespace(free=count, total=10**12))

    free(10)
    with pytest.raises(ValueError, match=r"frames without loss.* are free"):
        convert(demos, target, contract)
    assert not list(target.parent.glob(".lerobot*"))
    with lerobot_write.LeRobotWriter(target, contract) as writer:
        monkeypatch.setattr(lerobot_write, "PNG_SHARE", 0.5)
        frames = 100
        needed = frames * sum(camera.width_px * camera.height_px * 3 for camera in contract.cameras)
        free(needed)
        writer.require_space(frames)
        free(needed - 7)
        with pytest.raises(ValueError, match="frames without loss"):
            writer.require_space(frames)
        writer.parts_folder.mkdir()
        (writer.parts_folder / "part").write_bytes(b"1234567")
        writer.require_space(frames)


def test_one_camera_contract_takes_one_camera(tmp_path):
    from tests.datasets.episodes import write_demos

    contract = make_contract(roles=("base_0_rgb",))
    convert(write_demos(tmp_path / "demos", contract, [5]), tmp_path / "lerobot", contract)
    assert Dataset(tmp_path / "lerobot").roles == ["base_0_rgb"]
