"""npz episodes of an arm go the way of a LeRobot recording: the same data set, units, prompts and identity."""

import re
import shutil

import h5py
import numpy as np
import pytest

from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.datasets.inspect import look
from pirig.datasets.lerobot.read import Dataset
from pirig.foreign.kinds import Kind, episode_files, kind_of
from pirig.foreign.npz_episodes import NO_TASK
from pirig.foreign.trajectory import read_trajectory
from pirig.robots.clock import JumpingClock
from pirig.robots.collect import Recorder
from pirig.robots.episode import Episode
from pirig.robots.simulated import SimulatedGen3
from pirig.stages import convert
from tests.datasets.kinova_recordings import data_set_of, make_recording, write_recording
from tests.datasets.npz_episodes import arrays_of, write_episodes

ROLES = ("base_0_rgb", "left_wrist_0_rgb")


def config_of(path, root, *words):
    return compose(["task=kinova", "size=tiny", f"demos.path={path}", f"run.root={root / 'out'}", *words])


def converted(path, root, *words):
    return Dataset(data_set_of(config_of(path, root, *words)))


def test_both_readers_give_one_data_set(tmp_path):
    ours = converted(write_episodes(tmp_path), tmp_path)
    theirs = converted(write_recording(tmp_path / "mugs"), tmp_path)
    assert ours.contract == theirs.contract and ours.content_hash == theirs.content_hash
    assert ours.folder != theirs.folder and ours.provenance["source"].startswith("npz, ")
    np.testing.assert_array_equal(ours.actions[24:48], make_recording(1)["action"])


def test_what_a_path_is_follows_from_what_lies_there(tmp_path, demos):
    data = write_episodes(tmp_path)
    file = episode_files(data)[0]
    for name, write in (("trajectory", {"traj_0/actions": [0.0]}), ("robomimic", {"data/demo_0/actions": [0.0]})):
        with h5py.File(tmp_path / f"{name}.bin", "w") as held:
            for key, values in write.items():
                held[key] = values
    shutil.copy(file, tmp_path / "episode.zip")
    (tmp_path / "plain").mkdir()
    shutil.copy(file, tmp_path / "plain/monday.npz")
    named = {
        tmp_path / "trajectory.bin": Kind.trajectory,
        tmp_path / "robomimic.bin": Kind.hdf5,
        tmp_path / "episode.zip": Kind.npz,
        tmp_path / "plain": Kind.npz,
        data: Kind.npz,
        data / "20260105/libero_format": Kind.npz,
        demos: Kind.demos,
        next(demos.glob("*.npz")): Kind.demos,
        write_recording(tmp_path / "mugs"): Kind.lerobot,
    }
    assert {path: kind_of(path) for path in named} == named
    for path in (tmp_path / "trajectory.bin", demos):
        with pytest.raises(
            ValueError, match=re.escape(f"{path}: it is {kind_of(path)}; expected what an arm recorded")
        ):
            config_of(path, tmp_path)
    for path in (data, demos, tmp_path / "mugs"):
        with pytest.raises(
            ValueError, match=re.escape(f"{path}: it is {kind_of(path)}; expected a ManiSkill trajectory")
        ):
            read_trajectory(path)
    (tmp_path / "empty").mkdir()
    for path, says in (
        (tmp_path / "empty", r"no meta/info\.json and no \*_libero_\*\.npz there"),
        (tmp_path / "no", "nothing"),
    ):
        with pytest.raises(ValueError, match=says):
            config_of(path, tmp_path)


def test_a_folder_of_days_a_folder_and_a_file_are_taken_in_the_order_of_their_times(tmp_path):
    write_episodes(tmp_path, [arrays_of(2)], day="20260110")
    write_episodes(tmp_path, [arrays_of(0)], day="20260102")
    data = write_episodes(tmp_path, [arrays_of(1)], day="20260105")
    (data / "20260105/libero_format/.x_libero_1.npz.tmp").write_bytes(b"half")
    shutil.copy(data / "20260105/libero_format/grab_libero_20260105_000000.npz", data / "20260105/other_libero_9.npz")
    assert [file.name for file in episode_files(data)] == [
        f"grab_libero_202601{day}_000000.npz" for day in ("02", "05", "10")
    ]
    whole = converted(data, tmp_path)
    for seed in range(3):
        np.testing.assert_array_equal(whole.actions[24 * seed : 24 * (seed + 1)], make_recording(seed)["action"])
    one = converted(data / "20260110/libero_format/grab_libero_20260110_000000.npz", tmp_path)
    np.testing.assert_array_equal(one.actions, make_recording(2)["action"])


@pytest.mark.parametrize(
    ("tasks", "words", "prompts", "told"),
    [
        (["a", "a", "a"], [], ["a"], []),
        (["", "", ""], [], [NO_TASK], []),
        (["b", "a", "b"], [], ["a", "b"], ["b", "a", "b"]),
        (["b", "", "b"], [], [NO_TASK, "b"], ["b", NO_TASK, "b"]),
        (["b", "a", "b"], ["task.prompt='Lift it.'"], ["Lift it."], []),
        (["b", "a", "b"], ["demos.leave_out=[1]"], ["b"], []),
    ],
)
def test_each_file_has_its_prompt_and_the_configs_wins(tmp_path, tasks, words, prompts, told):
    data = write_episodes(tmp_path, [arrays_of(seed, 8, task) for seed, task in enumerate(tasks)])
    dataset = converted(data, tmp_path, *words)
    assert [scene.prompt for scene in dataset.contract.scenes] == prompts and dataset.tasks == told


def test_a_file_without_a_task_or_with_bytes_for_one(tmp_path):
    silent = {key: values for key, values in arrays_of(0).items() if key != "task"}
    data = write_episodes(tmp_path, [silent, arrays_of(1) | {"task": np.array([b"Grab it"])}])
    assert [scene.prompt for scene in converted(data, tmp_path).contract.scenes] == ["Grab it", NO_TASK]


def test_rates_units_and_columns_are_those_of_recordings(tmp_path):
    scale = np.array([180 / np.pi] * 7 + [100])
    raw = [
        held | {key: held[key] * scale for key in ("states", "actions")}
        for held in (arrays_of(s, fps=15) for s in range(2))
    ]
    words = ("demos.angle_unit=deg", "demos.gripper_max=100")
    dataset = converted(write_episodes(tmp_path, raw), tmp_path, *words)
    assert dataset.contract.fps == dataset.contract.control_hz == 15
    np.testing.assert_allclose(dataset.state[:24], make_recording(0)["observation.state"], atol=1e-5)
    with pytest.raises(
        ValueError, match=r"recorded at 15 frames a second, control\.control_hz=10; give control\.control_hz=15"
    ):
        converted(tmp_path / "data", tmp_path, "control.control_hz=10")
    with pytest.raises(ValueError, match=r"no column 'qpos' of numbers; it has observation\.state \[8\] \(states\)"):
        converted(tmp_path / "data", tmp_path, "demos.state_columns=[qpos]")


@pytest.mark.parametrize("write", ["npz", "lerobot"])
def test_numbers_that_were_padded_first_are_named(tmp_path, write):
    """Whoever reads it: padding comes after normalising."""
    wide = {
        key: np.pad(values, ((0, 0), (0, 24))) for key, values in arrays_of(0).items() if key in ("states", "actions")
    }
    if write == "npz":
        path = write_episodes(tmp_path, [arrays_of(0) | wide])
    else:
        held = make_recording(0) | {"observation.state": wide["states"], "action": wide["actions"]}
        path = write_recording(tmp_path / "mugs", episodes=[held])
    for column, key in (("observation.state", "state"), ("action", "actions")):
        named = f"{column}: the last 24 numbers are always 0: it was padded, which comes after normalising; data.{key}="
        assert f"{named}['{column}[0:8]'] takes the others" in look(path).missing
    with pytest.raises(
        ValueError, match=r"holds 32 numbers, the last 24 always 0: it was padded.*'observation\.state\[0:8\]'"
    ):
        converted(path, tmp_path)
    parts = ("demos.state_columns=['observation.state[0:8]']", "demos.action_columns=['action[0:8]']")
    np.testing.assert_array_equal(converted(path, tmp_path, *parts).actions, make_recording(0)["action"])


def test_identity_is_by_content(tmp_path, capsys):
    data = write_episodes(tmp_path)
    config = config_of(data, tmp_path)
    places = places_of(config)
    first, before = (convert.make(config, places), Dataset(places.data_set))
    files = episode_files(data)
    held = arrays_of(1)
    files[1].unlink()
    np.savez(files[1], **held, note=np.zeros(3))  # packed in another way, with one more array
    assert convert.make(config, places) == first and "made from the same episodes" in capsys.readouterr().out
    write_episodes(tmp_path, [arrays_of(7)], day="20260201")
    assert convert.make(config, places) == first and "3 of 4 episodes were there" in capsys.readouterr().out
    np.testing.assert_array_equal(Dataset(first).actions[:72], before.actions)
    np.savez(files[1], **(held | {"states": held["states"] + np.float32(1e-3)}))
    with pytest.raises(ValueError, match="episode"):
        convert.make(config, places)


def test_what_collect_and_robot_write_is_read(tmp_path):
    """`pirig collect` through its own recorder, `pirig robot`'s log through the same episode file."""
    clock = JumpingClock()
    robot = SimulatedGen3(clock=clock)
    keys = {1: "\n", 12: "\n", 15: "\n", 30: "\n", 33: "q"}
    ticks = iter(range(1000))
    script = type("Script", (), {"pressed": lambda self: keys.get(next(ticks), "")})()
    Recorder(robot, script, clock, tmp_path, "Put the mug away", 10.0, lambda line: None).run()
    log = Episode("Put the mug away", 10.0)
    for step in range(6):
        reading = robot.read()
        log.add({ROLES[0]: reading.images[ROLES[0]]}, reading.state, reading.state + step)
    dataset = converted(tmp_path / "libero_format", tmp_path)
    assert dataset.lengths == [10, 14] and dataset.contract.prompt == "Put the mug away" and dataset.contract.fps == 10
    with np.load(episode_files(tmp_path)[1]) as held:
        np.testing.assert_allclose(dataset.state[10:], held["states"], atol=1e-6)
        np.testing.assert_array_equal(dataset.image(ROLES[1], 12), held["wrist_images"][2])
    log.save(tmp_path / "one_camera", "log")
    with pytest.raises(ValueError, match=r"no image column 'observation\.images\.wrist' for left_wrist_0_rgb"):
        config_of(tmp_path / "one_camera", tmp_path)
