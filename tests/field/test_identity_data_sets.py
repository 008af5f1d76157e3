"""A data set is known by the episodes that it holds, its statistics and frames by the data set."""

import dataclasses
import functools
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.contract import Contract
from pirig.datasets import make, make_stats, norm_stats
from pirig.datasets.identity import record_of
from pirig.datasets.lerobot.read import Dataset
from pirig.demos.manifest import episode_file, read_episode, write_episode
from pirig.files.digests import Digests
from pirig.files.identity import IdentityError
from pirig.transforms.normalize import NormStats, load_norm_stats, save_norm_stats
from tests.datasets.episodes import make_contract, write_demos
from tests.datasets.kinova_recordings import make_recording, write_recording

STATE, ACTION, BASE = "observation.state", "action", "observation.images.base"


@functools.cache
def recorded(folder, root):
    return compose(["task=kinova", "size=tiny", "weights=scratch", f"demos.path={folder}", f"run.root={root}"])


class Recording:
    """A recording and its data set: `data_set()` is what `pirig convert` does."""

    def __init__(self, top, **how):
        self.folder, self.how = top / "rec", {"version": "v2.1", **how}
        self.episodes = [make_recording(seed, 12) for seed in range(3)]
        self.write()
        self.config = recorded(self.folder, top / "out")
        self.places = places_of(self.config)

    def write(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        write_recording(self.folder, episodes=self.episodes, **self.how)

    def data_set(self):
        return make.make_data_set(self.config, self.places)


def content(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def add_a_readme(recording):
    (recording.folder / "README.md").write_text("mugs, recorded on Monday")
    (recording.folder / "meta" / ".DS_Store").write_bytes(b"\0")
    (recording.folder / "data" / "notes.txt").write_text("the third one is slow")


def compute_its_statistics_again(recording):
    (recording.folder / "meta" / "stats.json").write_text('{"action": {"mean": [0]}}')


def write_it_again(recording):
    recording.write()


def add_a_column(recording):
    for episode in recording.episodes:
        episode["observation.torque"] = np.ones((len(episode[ACTION]), 7), np.float32)
    recording.write()


@pytest.mark.parametrize("change", [add_a_readme, compute_its_statistics_again, write_it_again, add_a_column])
def test_what_a_data_set_does_not_depend_on_changes_nothing(tmp_path, change, capsys):
    recording = Recording(tmp_path)
    before = content(recording.data_set())
    change(recording)
    assert content(recording.data_set()) == before
    assert "is there already, made from the same episodes" in capsys.readouterr().out


def another_action(recording):
    recording.episodes[1][ACTION][5, 2] += 0.01


def another_picture(recording):
    recording.episodes[2][BASE][7, 3, 4] += 1


def another_episode(recording):
    recording.episodes[0] = make_recording(9, 12)


def one_fewer(recording):
    del recording.episodes[2]


@pytest.mark.parametrize("how", [{}, {"version": "v3.0"}, {"video": True}])
@pytest.mark.parametrize("change", [another_action, another_picture, another_episode, one_fewer])
def test_another_recording_under_the_same_path_is_refused_and_nothing_is_written(tmp_path, change, how):
    if how.get("video") and change is another_picture:
        change = another_episode  # a film forgets one pixel
    recording = Recording(tmp_path, **how)
    made = recording.data_set()
    before = content(made)
    change(recording)
    recording.write()
    with pytest.raises(IdentityError, match=rf"(?s)episode.* then, .* now\nTo make it anew.*mv .*{made}.*\.old"):
        recording.data_set()
    with pytest.raises(IdentityError):
        make.require_current(recording.config, recording.places)
    assert content(made) == before
    made.rename(made.with_name("lerobot.old"))  # as advised
    assert Dataset(recording.data_set()).episode_count == len(recording.episodes)


def test_more_episodes_at_the_end_make_the_data_set_anew_and_keep_the_older_one(tmp_path, capsys):
    recording = Recording(tmp_path)
    first = Dataset(recording.data_set())
    recording.episodes.append(make_recording(3, 12))
    recording.write()
    with pytest.raises(IdentityError, match=r"holds 3 of the 4 .*`pirig convert`"):
        make.require_current(recording.config, recording.places)
    longer = Dataset(recording.data_set())
    assert (first.episode_count, longer.episode_count) == (3, 4)
    np.testing.assert_array_equal(longer.actions[: first.frame_count], first.actions)
    (aside,) = recording.places.data.glob("lerobot.old-*")
    assert Dataset(aside).content_hash == first.content_hash and str(aside) in capsys.readouterr().out
    make.require_current(recording.config, recording.places)


def test_a_recording_may_move_and_may_be_gone_but_not_mistyped(tmp_path, capsys):
    recording = Recording(tmp_path)
    before = content(recording.data_set())
    moved = recording.folder.rename(tmp_path / "elsewhere")
    assert content(recording.data_set()) == before and "source is gone" in capsys.readouterr().out
    (tmp_path / "other").mkdir()
    elsewhere = dataclasses.replace(recording.config.demos, path=str(moved.rename(tmp_path / "other" / "rec")))
    config = dataclasses.replace(recording.config, demos=elsewhere)
    assert content(make.make_data_set(config, recording.places)) == before
    typo = dataclasses.replace(recording.config.demos, path=str(tmp_path / "othr" / "rec"))
    with pytest.raises(IdentityError, match=r"othr/rec: it is not there.*was made from .*/rec"):
        make.make_data_set(dataclasses.replace(recording.config, demos=typo), recording.places)


@pytest.mark.parametrize("change", [None, another_action])
def test_a_data_set_from_before_there_were_records_is_adopted_by_its_numbers(tmp_path, change, capsys):
    recording = Recording(tmp_path)
    made = recording.data_set()
    record_of(made).unlink()
    add_a_readme(recording)
    if change:
        change(recording)
        recording.write()
        with pytest.raises(IdentityError, match=r"episode 1: '1:other numbers"):
            recording.data_set()
        return
    recording.data_set()
    assert "no record of what it was made from; its numbers are those of" in capsys.readouterr().out
    recording.data_set()
    assert "no record" not in capsys.readouterr().out


@functools.cache
def planned(root):
    return compose(["task=push_cube", "camera=close", "size=tiny", "weights=scratch", f"run.root={root}"])


class Planned:
    """Demos of a folder and their data set."""

    def __init__(self, top, seeds):
        self.config, contract = planned(top), make_contract()
        self.places = dataclasses.replace(places_of(self.config), contract=contract)
        self.write(seeds)

    def write(self, seeds):
        shutil.rmtree(self.places.demos, ignore_errors=True)
        write_demos(self.places.demos, self.places.contract, seeds)

    def change(self, seed, **arrays):
        file = episode_file(self.places.demos, seed)
        write_episode(file, read_episode(file) | arrays)

    def data_set(self):
        return make.make_data_set(self.config, self.places)


@pytest.mark.parametrize("change", ["other seeds", "an action", "a picture", "fewer"])
def test_a_data_set_older_than_its_demos_is_not_taken(tmp_path, change):
    demos = Planned(tmp_path, [0, 1, 2])
    before = content(demos.data_set())
    if change == "an action":
        demos.change(1, actions=read_episode(episode_file(demos.places.demos, 1))["actions"] * 0.5)
    elif change == "a picture":
        pictures = read_episode(episode_file(demos.places.demos, 1))["image/base_0_rgb"].copy()
        pictures[2, 3, 4] ^= 1
        demos.change(1, **{"image/base_0_rgb": pictures})
    else:
        demos.write([0, 1, 5] if change == "other seeds" else [0, 1])
    with pytest.raises(IdentityError, match="episode"):
        demos.data_set()
    assert content(demos.places.data_set) == before


def test_arrays_that_the_data_set_does_not_hold_change_nothing_and_more_demos_make_it_anew(tmp_path):
    demos = Planned(tmp_path, [0, 1, 2])
    before = content(demos.data_set())
    demos.change(1, tcp_pose=np.zeros((3, 7), np.float32))
    assert content(demos.data_set()) == before
    demos.write([0, 1, 2, 3])
    assert Dataset(demos.data_set()).seeds == [0, 1, 2, 3]
    shutil.rmtree(demos.places.demos)
    assert demos.data_set() == demos.places.data_set  # its demos are gone


def test_statistics_are_those_of_their_data_set_or_refused(tmp_path, capsys):
    demos = Planned(tmp_path, [0, 1, 2])
    demos.data_set()
    file = make_stats.make_norm_stats(demos.config, demos.places)
    first = file.read_text()
    assert make_stats.make_norm_stats(demos.config, demos.places).read_text() == first
    assert "is there already, of the same data set" in capsys.readouterr().out
    norm_stats.record_of(file).unlink()
    make_stats.make_norm_stats(demos.config, demos.places)
    assert "computed again, they are those of the data set" in capsys.readouterr().out
    demos.places.data_set.rename(tmp_path / "first")
    demos.write([0, 1, 2, 3])
    demos.data_set()
    shutil.copyfile(tmp_path / "first/meta/pirig/norm_stats.json", file)
    with pytest.raises(IdentityError, match=r"not the statistics of .*mv "):
        make_stats.make_norm_stats(demos.config, demos.places)
    shutil.copyfile(tmp_path / "first/meta/pirig/norm_stats.identity.json", norm_stats.record_of(file))
    with pytest.raises(IdentityError, match=r"data set: .* then, .* now"):
        make_stats.make_norm_stats(demos.config, demos.places)


def test_frames_know_their_data_set_whatever_their_folder_is_called(tmp_path, capsys):
    demos = Planned(tmp_path, [0, 1])
    first = Dataset(demos.data_set())
    make.open_frames(first, 16, demos.places)
    (cache,) = demos.places.data.glob("frames-16px-*")
    make.open_frames(first, 16, demos.places)
    assert "is there already, of the same data set" in capsys.readouterr().out
    demos.write([0, 1, 2])
    longer = Dataset(demos.data_set())
    make.open_frames(longer, 16, demos.places)
    (other,) = set(demos.places.data.glob("frames-16px-*")) - {cache}
    shutil.rmtree(other)
    cache.rename(other)  # somebody saves time
    with pytest.raises(IdentityError, match=r"(?s)frame cache there was made from something else.*data set: .* then"):
        make.open_frames(longer, 16, demos.places)
    (other / "identity.json").unlink()
    with pytest.raises(IdentityError, match="frames: 11 then, 18 now"):
        make.open_frames(longer, 16, demos.places)


def test_a_digest_is_computed_again_only_where_a_file_changed(tmp_path):
    file, asked = tmp_path / "big", []

    def digest():
        asked.append(1)
        return file.read_text()

    file.write_text("a")
    os.utime(file, (1, 1))
    digests = Digests(tmp_path)
    assert digests.of("big", [file], digest) == "a" and len(asked) == 1
    digests.known["big"] = {"stamps": digests_of(file), "value": "a"}  # as after two quiet seconds
    assert digests.of("big", [file], digest) == "a" and len(asked) == 1
    file.write_text("b")
    os.utime(file, (1, 1))  # same size, same time: the inode was changed later
    assert Digests(tmp_path).of("big", [file], digest) == "b" and digests.of("big", [file], digest) == "b"


def digests_of(file):
    from pirig.files import digests

    return [digests._stamp(file)]


def test_norm_stats_of_another_processor_are_the_same_to_seven_digits(tmp_path):
    numbers = np.array([0.1234567891, -2.0])
    stats = {"state": NormStats(numbers, numbers, numbers, numbers)}
    other = {"state": NormStats(numbers * (1 + 1e-15), numbers, numbers, numbers)}
    save_norm_stats(tmp_path / "s.json", stats)
    assert norm_stats.digest_of(load_norm_stats(tmp_path / "s.json")) == norm_stats.digest_of(other)
    assert norm_stats.digest_of(stats) != norm_stats.digest_of({"state": NormStats(numbers * 1.001, numbers)})
    assert json.loads((tmp_path / "s.json").read_text())


def test_a_data_set_of_an_older_version_is_used_with_statistics_and_frames(tmp_path, capsys):
    made = Path(__file__).parents[1] / "compatibility" / "made_at_8868f2d" / "lerobot"
    contract = Contract.load(made / "meta/pirig")
    config = planned(tmp_path)
    places = places_of(config, contract)
    shutil.copytree(made, places.data_set)
    make.require_current(config, places)
    assert make.make_data_set(config, places) == places.data_set and "its source is gone" in capsys.readouterr().out
    make_stats.make_norm_stats(config, places)
    make.open_frames(Dataset(places.data_set), 16, places)
    assert make_stats.make_norm_stats(config, places) and make.open_frames(Dataset(places.data_set), 16, places)
    assert capsys.readouterr().out.count("is there already, of the same data set") == 2
