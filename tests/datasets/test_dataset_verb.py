"""`pirig dataset`: every form into every other, merge, split, filter, edit; sources untouched, nothing half-written."""

import dataclasses
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pirig.cli import main
from pirig.contract import TaskScene
from pirig.datasets.lerobot.read import Dataset
from pirig.datasets.lerobot.source import LeRobotSource
from pirig.datasets.lerobot.write import Form
from pirig.datasets.pictures import film_write
from pirig.files import at_once
from pirig.foreign import tables
from tests.datasets.episodes import make_contract, make_episode, write_dataset
from tests.datasets.kinova_recordings import BASE, WRIST, make_recording, write_recording

KEY = "observation.images.base_0_rgb"


def digests(folder: Path) -> dict[str, str]:
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def dataset(*words: object) -> int:
    return main(["dataset", *map(str, words)])


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("source") / "lerobot", make_contract(), range(4), labels=True)


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("films") / "lerobot"
    return write_dataset(folder, make_contract(), range(4), form=Form("v3.0", "h264"))


def test_to_v21_and_back_is_the_same_bytes(source, tmp_path):
    before = digests(source)
    assert dataset("convert", source, tmp_path / "old", "--format", "v2.1") == 0
    assert dataset("convert", tmp_path / "old", tmp_path / "new", "--format", "v3.0") == 0
    assert digests(tmp_path / "new") == before == digests(source)
    assert {path.name for path in tmp_path.iterdir()} == {"old", "new"}
    assert Dataset(tmp_path / "old").content_hash == Dataset(source).content_hash


def test_columns_that_are_read_by_row_groups_are_the_same(source, tmp_path, monkeypatch):
    def cells():
        opened = LeRobotSource(source)
        return [opened.cells(one, name) for one in opened.episodes for name in (KEY, "action", "index")]

    whole, read, around = cells(), [], tables.Groups.around
    monkeypatch.setattr(tables, "LARGE_BYTES", 1)
    monkeypatch.setattr(tables.Groups, "around", lambda *given: read.append(given) or around(*given))
    assert all(one.equals(other) for one, other in zip(cells(), whole, strict=True)) and len(read) == len(whole)
    assert dataset("filter", source, tmp_path / "a", "--leave-out", "0") == 0
    monkeypatch.undo()
    assert dataset("filter", source, tmp_path / "b", "--leave-out", "0") == 0
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_films_are_copied_to_v21_and_back(films, tmp_path):
    assert dataset("convert", films, tmp_path / "old", "--format", "v2.1") == 0
    assert dataset("convert", tmp_path / "old", tmp_path / "new", "--format", "v3.0") == 0
    there, back = Dataset(films), Dataset(tmp_path / "new")
    tables = [name for name in digests(films) if name.startswith("data/") or name == "meta/info.json"]
    assert all(digests(films)[name] == digests(back.folder)[name] for name in tables)
    for row in range(there.frame_count):
        np.testing.assert_array_equal(there.image("base_0_rgb", row), back.image("base_0_rgb", row))


@pytest.mark.parametrize("codec", ["h264", "av1"])
def test_pictures_become_films_and_films_pictures(source, tmp_path, codec, capsys):
    words = ("--storage", "video", "--codec", codec)
    assert dataset("convert", source, tmp_path / "films", *words) == 0
    said = capsys.readouterr().out
    assert f"{KEY}: {codec} has lost detail: " in said and "dB (PSNR) over 26 frames" in said
    info = json.loads((tmp_path / "films/meta/info.json").read_text())
    assert info["features"][KEY]["info"]["pirig.psnr_db"] > 30
    assert dataset("convert", tmp_path / "films", tmp_path / "pictures", "--storage", "images") == 0
    shown, kept = Dataset(tmp_path / "films"), Dataset(tmp_path / "pictures")
    for row in (0, 7, 25):
        np.testing.assert_array_equal(shown.image("base_0_rgb", row), kept.image("base_0_rgb", row))
    np.testing.assert_array_equal(kept.labels["cube_position_m"], Dataset(source).labels["cube_position_m"])
    assert len({Dataset(folder).content_hash for folder in (source, shown.folder, kept.folder)}) == 3
    assert "info" not in kept.info["features"][KEY]


def test_a_film_that_stays_a_film_keeps_its_codec(films, tmp_path, capsys):
    assert dataset("convert", films, tmp_path / "same", "--storage", "video") == 0
    assert "lost" not in capsys.readouterr().out
    assert dataset("convert", films, tmp_path / "av1", "--codec", "av1") == 0
    assert "av1 has lost detail" in capsys.readouterr().out


def test_filter_takes_episodes_that_meet_every_condition(source, films, tmp_path):
    assert dataset("filter", source, tmp_path / "a", "--min-length", 6, "--leave-out", "2", "--prompt", "*CUBE*") == 0
    made = Dataset(tmp_path / "a")
    assert (made.seeds, made.lengths) == ([1, 3], [6, 8])
    np.testing.assert_array_equal(made.actions[6:], make_episode(3, made.contract)["actions"])
    table = pq.read_table(tmp_path / "a/data/chunk-000/file-000.parquet")
    assert table["index"].to_pylist() == list(range(14)) and set(table["episode_index"].to_pylist()) == {0, 1}
    assert dataset("filter", films, tmp_path / "b", "--episodes", "1-2") == 0
    there, kept = Dataset(films), Dataset(tmp_path / "b")
    for row in range(kept.frame_count):
        np.testing.assert_array_equal(kept.image("base_0_rgb", row), there.image("base_0_rgb", row + 5))


def test_split_and_merge_hold_every_episode_once(source, tmp_path):
    assert dataset("split", source, tmp_path / "a", tmp_path / "b", "--share", 0.75) == 0
    parts = [Dataset(tmp_path / name) for name in "ab"]
    assert [part.episode_count for part in parts] == [3, 1] and sorted(parts[0].seeds + parts[1].seeds) == [0, 1, 2, 3]
    assert dataset("merge", tmp_path / "a", tmp_path / "b", tmp_path / "c") == 0
    whole = Dataset(tmp_path / "c")
    assert whole.seeds == parts[0].seeds + parts[1].seeds and whole.frame_count == 26
    np.testing.assert_array_equal(whole.state, np.concatenate([part.state for part in parts]))
    assert whole.provenance["made_from"].keys() == {str(part.folder) for part in parts}


def test_merged_tasks_keep_their_sentences(source, tmp_path):
    other = dataclasses.replace(make_contract(), scenes=(TaskScene("PullCube-v1", "pull the cube"),))
    write_dataset(tmp_path / "pull", other, range(2), labels=True)
    assert dataset("merge", source, tmp_path / "pull", tmp_path / "both", "--format", "v2.1") == 0
    both = Dataset(tmp_path / "both")
    assert both.tasks == ["push_cube"] * 4 + ["pull_cube"] * 2
    assert [scene.prompt for scene in both.contract.scenes] == ["push the cube to the goal", "pull the cube"]
    assert dataset("filter", tmp_path / "both", tmp_path / "one", "--prompt", "pull the cube") == 0
    one = Dataset(tmp_path / "one")
    assert (one.contract, one.seeds) == (other, [0, 1])


def test_split_by_success(tmp_path):
    episodes = [make_recording(seed) for seed in range(3)]
    for number, episode in enumerate(episodes):
        episode["next.success"] = np.full((24, 1), float(number == 1 and 1), np.float32)
    write_recording(tmp_path / "all", episodes=episodes, video=True, version="v3.0")
    assert dataset("split", tmp_path / "all", tmp_path / "won", tmp_path / "lost", "--by-success") == 0
    assert [len(LeRobotSource(tmp_path / name).episodes) for name in ("won", "lost")] == [1, 2]


def test_edit_of_ours_keeps_the_contract_where_it_can(source, tmp_path, capsys):
    wrist = "observation.images.left_wrist_0_rgb"
    assert dataset("edit", source, tmp_path / "a", "--drop", KEY, "--rename", f"{wrist}={KEY}") == 0
    made = Dataset(tmp_path / "a")
    assert made.roles == ["base_0_rgb"] and made.contract.cameras[0].sensor == "sensor_left_wrist_0_rgb"
    np.testing.assert_array_equal(made.image("base_0_rgb", 9), Dataset(source).image("left_wrist_0_rgb", 9))
    assert (
        dataset("edit", source, tmp_path / "b", "--rename", "observation.state=state", "--rename", "action=actions")
        == 0
    )
    assert "its contract is left out: observation.state is called state" in capsys.readouterr().out
    assert not (tmp_path / "b/meta/pirig").exists()
    assert {"state", "actions"} <= set(LeRobotSource(tmp_path / "b").features)
    assert dataset("edit", source, tmp_path / "c", "--crop", f"{KEY}=4,2,16,20") == 0
    assert "no simulator shows that view" in capsys.readouterr().out
    cropped = LeRobotSource(tmp_path / "c")
    assert cropped.features[KEY].shape == [20, 16, 3]
    shown = cropped.images(cropped.episodes[1], KEY)
    np.testing.assert_array_equal(shown[3], Dataset(source).image("base_0_rgb", 8)[2:22, 4:20])


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
@pytest.mark.parametrize("video", [False, True])
def test_somebody_elses_goes_there_and_back(tmp_path, version, video, capsys):
    write_recording(tmp_path / "mugs", version=version, video=video, task=["Take it.", "Put it.", "Take it."])
    other = {"v2.1": "v3.0", "v3.0": "v2.1"}[version]
    assert dataset("convert", tmp_path / "mugs", tmp_path / "a", "--format", other) == 0
    assert dataset("convert", tmp_path / "a", tmp_path / "b", "--format", version) == 0
    encoded = video and version == "v3.0"  # this recorder's episodes do not begin with pictures that stand alone
    assert ("has lost detail" in capsys.readouterr().out) == encoded
    first, last = LeRobotSource(tmp_path / "mugs"), LeRobotSource(tmp_path / "b")
    assert last.meta.tasks == first.meta.tasks == {0: "Take it.", 1: "Put it."}
    for before, after in zip(first.episodes, last.episodes, strict=True):
        assert (before.length, before.tasks) == (after.length, after.tasks)
        for name in ("observation.state", "action"):
            np.testing.assert_array_equal(first.numbers(before, [name]), last.numbers(after, [name]))
        for name in (BASE, WRIST):
            shown = [source.images(one, name).astype(int) for source, one in ((first, before), (last, after))]
            assert np.abs(shown[0] - shown[1]).mean() <= (2 if encoded else 0)


def test_names_below_hf_lerobot_home(source, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HF_LEROBOT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert dataset("convert", source, "me/push", "--format", "v2.1") == 0
    assert dataset("filter", "me/push", "./here", "--episodes", 0) == 0
    assert Dataset(tmp_path / "home/me/push").episode_count == 4 and Dataset(tmp_path / "here").episode_count == 1
    assert dataset("convert", "me/push", "here/x") == 1
    assert "a name in HF_LEROBOT_HOME=" in capsys.readouterr().err


REFUSED = {
    "nothing there": (["convert", "NOWHERE", "OUT"], "there is nothing; expected the folder of a LeRobot data set"),
    "out is there": (["convert", "SOURCE", "SOURCE"], "exists already"),
    "codec of tables": (
        ["convert", "SOURCE", "OUT", "--storage", "images", "--codec", "av1"],
        "pictures in tables have none",
    ),
    "one to merge": (["merge", "SOURCE", "OUT"], "expected at least two data sets"),
    "merged twice": (["merge", "SOURCE", "SOURCE", "OUT"], "is named twice"),
    "other storage": (
        ["merge", "SOURCE", "FILMS", "OUT"],
        r"base_0_rgb is image \[32, 32, 3\] and video \[32, 32, 3\]",
    ),
    "other arm": (["merge", "SOURCE", "MUGS", "OUT"], "20 and 10 frames a second"),
    "a scene twice": (["merge", "SOURCE", "COPY", "OUT"], "both hold scene 0 of PushCube-v1"),
    "other contract": (["merge", "SOURCE", "SMALL", "OUT"], r"is image \[32, 32, 3\] and image \[16, 16, 3\]"),
    "other control": (["merge", "SOURCE", "JOINTS", "OUT"], "control_mode: 'pd_ee_delta_pose' != 'pd_joint_delta_pos'"),
    "share of nothing": (["split", "SOURCE", "OUT", "OUT2", "--share", "0.01"], "leaves one part empty"),
    "two parts in one": (["split", "SOURCE", "OUT", "OUT", "--share", "0.5"], "expected two folders"),
    "no success": (["split", "SOURCE", "OUT", "OUT2", "--by-success"], "no column says which episodes succeed"),
    "no such episode": (["filter", "SOURCE", "OUT", "--episodes", "3-5"], "no episode 4; it has 0 to 3"),
    "no range": (["filter", "SOURCE", "OUT", "--episodes", "5-3"], "is no number and no range"),
    "nothing left": (["filter", "SOURCE", "OUT", "--min-length", "99"], r"no episode is left of its 4 \(5 to 8 frames"),
    "no edit": (["edit", "SOURCE", "OUT"], "nothing to change"),
    "no such key": (["edit", "SOURCE", "OUT", "--drop", "wrist"], "has no such feature; it has observation.images"),
    "no pair": (["edit", "SOURCE", "OUT", "--rename", "action"], "expected --rename OLD=NEW"),
    "two of a name": (
        ["edit", "SOURCE", "OUT", "--rename", "action=observation.state"],
        "two features would be called",
    ),
    "an index": (["edit", "SOURCE", "OUT", "--rename", "action=index"], "two features would be called index"),
    "a slash": (["edit", "SOURCE", "OUT", "--rename", "action=a/b"], "without a slash"),
    "crop of numbers": (["edit", "SOURCE", "OUT", "--crop", "action=0,0,4,4"], "it holds no pictures"),
    "crop outside": (["edit", "SOURCE", "OUT", "--crop", f"{KEY}=20,0,16,16"], "inside its 32 x 32 px"),
    "no box": (["edit", "SOURCE", "OUT", "--crop", f"{KEY}=1,2,3"], "in whole pixels"),
    "odd film": (["edit", "FILMS", "OUT", "--crop", f"{KEY}=0,0,15,16"], "needs even sides"),
}


@pytest.fixture(scope="module")
def folders(source, films, tmp_path_factory):
    top = tmp_path_factory.mktemp("others")
    joints = dataclasses.replace(make_contract(), control_mode="pd_joint_delta_pos")
    return {
        "SOURCE": source,
        "FILMS": films,
        "MUGS": write_recording(top / "mugs"),
        "COPY": write_dataset(top / "copy", make_contract(), range(2), labels=True),
        "SMALL": write_dataset(top / "small", make_contract(16), range(9, 10), labels=True),
        "JOINTS": write_dataset(top / "joints", joints, range(9, 10), labels=True),
    }


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_and_nothing_is_written(case, folders, tmp_path, capsys):
    words, message = REFUSED[case]
    places = {**folders, "OUT": tmp_path / "out", "OUT2": tmp_path / "out2", "NOWHERE": tmp_path / "nowhere"}
    assert dataset(*[places.get(word, word) for word in words]) == 1
    said = capsys.readouterr().err
    assert re.search(message, said), said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("verb", ["convert", "merge", "split", "filter", "edit"])
def test_help_teaches(verb, capsys):
    assert dataset(verb, "--help") == 0
    said = capsys.readouterr().out
    assert "--format" in said and "DATASET" in said and len(said.splitlines()) > 12


def test_several_episodes_at_once_are_the_same_bytes_as_one_after_the_other(source, tmp_path, monkeypatch):
    for count in (1, 4):
        monkeypatch.setattr(at_once, "processors", lambda count=count: count)
        assert dataset("convert", source, tmp_path / str(count), "--storage", "video") == 0
    assert digests(tmp_path / "1") == digests(tmp_path / "4") and not list(tmp_path.glob(".*"))


def test_what_goes_wrong_while_others_are_worked_on_leaves_nothing_behind(source, tmp_path, monkeypatch):
    encode = film_write.encode

    def once_full(file, *rest):
        if file.parent.name == "1":
            raise OSError(28, "No space left on device", str(file))
        return encode(file, *rest)

    monkeypatch.setattr(film_write, "encode", once_full)
    assert dataset("convert", source, tmp_path / "films", "--storage", "video") == 1
    assert not list(tmp_path.iterdir())
