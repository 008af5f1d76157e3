"""A data set recorded on an arm becomes ours with the same numbers and pictures, or is refused by name."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.datasets.joined import prompts_of
from pirig.datasets.lerobot.read import Dataset
from pirig.datasets.lerobot.source import LeRobotSource
from pirig.datasets.pictures import video
from pirig.datasets.recording import split_column
from pirig.files import space
from pirig.stages import convert, demos
from tests.datasets.kinova_recordings import (
    BASE,
    HEIGHT,
    PROMPT,
    WIDTH,
    WRIST,
    data_set_of,
    make_recording,
    write_recording,
)

STATE, ACTION = "observation.state", "action"


def config_of(folder: Path, root: Path, *words: str):
    return compose(["task=kinova", "size=tiny", f"demos.path={folder}", f"run.root={root}", *words])


def converted(tmp_path: Path, *words: str, **recording) -> Dataset:
    folder = write_recording(tmp_path / "mugs", **recording)
    return Dataset(data_set_of(config_of(folder, tmp_path / "out", *words)))


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
@pytest.mark.parametrize("as_video", [False, True], ids=["images", "videos"])
def test_numbers_and_pictures_are_the_recorded_ones(tmp_path, version, as_video):
    dataset = converted(tmp_path, version=version, video=as_video)
    assert dataset.lengths == [24, 24, 24] and dataset.seeds == [0, 1, 2]
    assert dataset.contract.prompt == PROMPT and dataset.contract.env_id == "" and dataset.contract.fps == 10
    assert [(one.sensor, one.width_px, one.height_px) for one in dataset.contract.cameras] == [
        (BASE, WIDTH, HEIGHT), (WRIST, WIDTH, HEIGHT)
    ]  # fmt: skip
    for number in range(3):
        told, rows = make_recording(number), dataset.episode_rows(number)
        np.testing.assert_allclose(dataset.state[rows], told[STATE], atol=1e-6)
        np.testing.assert_allclose(dataset.actions[rows], told[ACTION], atol=1e-6)
        for role, key in (("base_0_rgb", BASE), ("left_wrist_0_rgb", WRIST)):
            for step in (0, 11, 23):
                picture = dataset.image(role, dataset.offsets[number] + step).astype(int)
                apart = [np.abs(picture - told[key][other]).mean() for other in range(24)]
                assert int(np.argmin(apart)) == step and apart[step] <= (2.5 if as_video else 0)


def test_it_says_where_it_comes_from_and_a_second_call_takes_what_is_there(tmp_path):
    folder = write_recording(tmp_path / "mugs")
    config = config_of(folder, tmp_path / "out", "demos.leave_out=[1]")
    made = data_set_of(config)
    noted = Dataset(made).provenance
    assert (noted["kept"], noted["left_out"], noted["seeds"], noted["tasks"]) == (2, 1, [0, 2], [PROMPT])
    assert noted["demos"]["leave_out"] == [1]
    before = (made / "meta/info.json").stat().st_mtime_ns
    assert data_set_of(config) == made and (made / "meta/info.json").stat().st_mtime_ns == before
    assert data_set_of(config_of(folder, tmp_path / "out")) != made
    shutil.rmtree(folder)
    write_recording(folder, episodes=[make_recording(7)])
    with pytest.raises(ValueError, match=r"something else.*\n  episode 0: .* then, .* now\n.* mv "):
        data_set_of(config)


def test_a_killed_conversion_goes_on(tmp_path, monkeypatch):
    folder = write_recording(tmp_path / "mugs")
    config, read, seen = config_of(folder, tmp_path / "out"), LeRobotSource.images, []

    def dying(self, episode, column):
        seen.append(episode.index)
        if episode.index == 2 and len(seen) < 6:
            raise KeyboardInterrupt
        return read(self, episode, column)

    monkeypatch.setattr(LeRobotSource, "images", dying)
    with pytest.raises(KeyboardInterrupt):
        data_set_of(config)
    monkeypatch.undo()
    made = seen.copy()
    monkeypatch.setattr(LeRobotSource, "images", lambda *words: (seen.append(words[1].index), read(*words))[1])
    assert Dataset(data_set_of(config)).lengths == [24, 24, 24]
    assert set(seen[len(made) :]) == {2}


def test_degrees_per_cent_and_turns_become_the_contracts_units(tmp_path):
    told = make_recording(0)
    kept = {key: told[key] for key in (BASE, WRIST)}
    scale = np.array([180 / np.pi] * 7 + [100])
    raw = {key: np.float32(told[key] * scale) for key in (STATE, ACTION)}
    for key in raw:
        raw[key][:, :7] %= 360  # as the arm's own interface counts
    dataset = converted(tmp_path, "demos.angle_unit=deg", "demos.gripper_max=100", episodes=[raw | kept])
    np.testing.assert_allclose(dataset.state, told[STATE], atol=1e-5)
    np.testing.assert_allclose(dataset.actions, told[ACTION], atol=1e-5)


def test_parts_of_columns_are_joined(tmp_path):
    told = make_recording(0)
    wide = {
        **told,
        STATE: np.pad(told[STATE], ((0, 0), (2, 3))),
        "grip": told[ACTION][:, 7:],
        ACTION: told[ACTION][:, :7],
    }
    words = ("demos.state_columns=['observation.state[2:10]']", "demos.action_columns=[action,grip]")
    dataset = converted(tmp_path, *words, episodes=[wide])
    np.testing.assert_allclose(dataset.state, told[STATE], atol=1e-6)
    np.testing.assert_allclose(dataset.actions, told[ACTION], atol=1e-6)
    assert split_column("a[3:]") == ("a", slice(3, None)) and split_column("a") == ("a", slice(None))


def test_the_configs_prompt_wins(tmp_path):
    dataset = converted(tmp_path, "task.prompt='Lift the mug.'", task=["a", "b", "c"])
    assert dataset.contract.prompt == "Lift the mug." and dataset.provenance["tasks"] == ["a", "b", "c"]


def test_each_episode_keeps_its_prompt_and_the_rate_is_the_recordings(tmp_path):
    dataset = converted(tmp_path, task=["a", "b", "a"], fps=30)
    assert [scene.prompt for scene in dataset.contract.scenes] == ["a", "b"] and dataset.tasks == ["a", "b", "a"]
    assert dataset.contract.fps == dataset.contract.control_hz == 30
    assert list(dict.fromkeys(prompts_of(dataset)[[0, 30, 60]])) == ["a", "b"]


def bent(key=STATE, row=0, number=0, value=np.nan):
    episodes = [make_recording(seed) for seed in range(3)]
    episodes[1][key][row, number] = value
    return episodes


@pytest.mark.parametrize(
    ("recording", "words", "says"),
    [
        ({}, ["demos.state_columns=[qpos]"], r"no column 'qpos' of numbers; it has observation\.state \[8\], action \[8\]"),
        ({}, ["demos.action_columns=['action[0:7]']"], r"holds 7 numbers, expected 8 .*observation\.state \[8\]"),
        ({}, ["camera.entries.base.sensor=cam0"], r"no image column 'cam0' for base_0_rgb \(it has observation\.images"),
        ({}, ["camera.entries.base.width_px=640"], r"of \(640, 32\) px, found \(48, 32\)"),
        ({"fps": 30}, ["control.control_hz=10"], r"at 30 frames a second, control\.control_hz=10; give control\.control_hz=30"),
        ({"task": ""}, [], r"no task, so there is no prompt; give task\.prompt="),
        ({"fps": 12.5}, [], r"recorded at 12\.5 frames a second; a policy is asked a whole number of times"),
        ({"episodes": bent()}, [], r"episode 1, frame 0: number 0 of observation\.state is nan;.*give demos\.leave_out=\[1\]"),
        ({"episodes": bent(ACTION, 3, 7, np.inf)}, [], r"episode 1, frame 3: number 7 of action is inf"),
        ({"episodes": [make_recording(0), make_recording(1, steps=1)]}, [], r"1 episodes .* demos\.leave_out=\[1\]"),
        ({"timestamps": lambda steps: steps / 10 + 0.2 * (steps > 5)}, [], r"0\.3000 s pass between frames 5 and 6"),
        ({"version": "v1.6"}, [], r"LeRobot version v1\.6; expected one of v2\.0, v2\.1, v3\.0"),
        ({}, ["demos.leave_out=[9]"], r"has no episode 9; it has 0 to 2"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path, recording, words, says):
    folder = write_recording(tmp_path / "mugs", **recording)
    for stage in (demos, convert):
        with pytest.raises(ValueError, match=says):
            config = config_of(folder, tmp_path / "out", *words)
            stage.make(config, places_of(config))
    assert not (tmp_path / "out").exists()


def test_files_that_are_gone_or_damaged_are_named(tmp_path):
    folder = write_recording(tmp_path / "mugs", video=True)
    config = config_of(folder, tmp_path / "out")
    film = folder / f"videos/chunk-000/{WRIST}/episode_000001.mp4"
    kept = film.read_bytes()
    film.unlink()
    with pytest.raises(ValueError, match=r"episode_000001\.mp4: episode 1: it is not there, though meta/ names it"):
        data_set_of(config)
    film.write_bytes(b"no video" * 100)
    with pytest.raises(ValueError, match=r"episode_000001\.mp4: PyAV .* cannot decode it"):
        data_set_of(config)
    film.write_bytes(kept)
    table = folder / "data/chunk-000/episode_000002.parquet"
    table.write_bytes(table.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"episode_000002\.parquet: damaged or cut off while recording"):
        data_set_of(config)


def test_a_video_that_is_too_short_or_of_another_rate_is_named(tmp_path):
    folder = write_recording(tmp_path / "mugs", video=True)
    film = folder / f"videos/chunk-000/{WRIST}/episode_000001.mp4"
    with pytest.raises(ValueError, match=r"no frame 24 of 26 at 2\.400 s"):
        video.read_frames(film, 10, 0.0, 26)
    with pytest.raises(ValueError, match="of another rate"):
        video.read_frames(film, 15, 0.0, 24)
    tail = video.read_frames(film, 10, 1.5, 4)
    np.testing.assert_array_equal(tail, video.read_frames(film, 10, 0.0, 24)[15:19])


def test_rows_that_meta_does_not_know_are_an_error(tmp_path):
    folder = write_recording(tmp_path / "mugs")
    lines = (folder / "meta/episodes.jsonl").read_text().splitlines()
    changed = json.loads(lines[1]) | {"length": 30}
    (folder / "meta/episodes.jsonl").write_text("\n".join([lines[0], json.dumps(changed), lines[2]]) + "\n")
    with pytest.raises(
        ValueError, match=r"24 rows of episode 1, meta/episodes.jsonl says 30; the recording was cut off after frame 23"
    ):
        data_set_of(config_of(folder, tmp_path / "out"))


def test_the_contract_of_a_simulated_robot_is_what_it_was():
    contract = contract_of(compose(["experiment=quickstart"]))
    assert contract.hash.startswith("8d0e0a14")  # of the data sets made before there was a real arm
    assert "angle_center_rad" not in contract.to_json()


def test_the_disk_is_asked_first(tmp_path, monkeypatch):
    folder = write_recording(tmp_path / "mugs")
    monkeypatch.setattr(space.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 1000))
    with pytest.raises(ValueError, match=r"frames without loss.* need about: .* run\.root=FOLDER on another disk"):
        data_set_of(config_of(folder, tmp_path / "out"))
