"""Demos are known by what they were made from: a second trajectory.h5, a changed one, another count, another planner."""

import dataclasses
import functools
import json

import h5py
import numpy as np
import pytest

from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.demos import door
from pirig.demos.collect import claim
from pirig.demos.identity import record_of, relation_to
from pirig.demos.manifest import DemosManifest, append_tried, episode_file, write_episode
from pirig.demos.maniskill import make
from pirig.files.identity import Extends, IdentityError, Same
from pirig.stages.entry import require_startable


def write_file(folder, seeds, offset=0.0, name="trajectory"):
    """ManiSkill's usual two files, with an episode for each seed."""
    folder.mkdir(parents=True, exist_ok=True)
    episodes = []
    with h5py.File(folder / f"{name}.h5", "w") as file:
        for number, seed in enumerate(seeds):
            file[f"traj_{number}/actions"] = np.full((4, 8), seed + offset, np.float32)
            entry = {"episode_id": number, "episode_seed": seed, "control_mode": "pd_joint_pos", "success": True}
            episodes.append(entry)
    info = {"env_id": "PushCube-v1", "env_kwargs": {"robot_uids": "panda"}}
    (folder / f"{name}.json").write_text(json.dumps({"env_info": info, "episodes": episodes}))
    return folder / f"{name}.h5"


@functools.cache
def usual():
    return compose(["task=push_cube", "camera=close", "weights=scratch", "size=tiny"])


def config_of(*words):
    """As composed with these words, in a hundredth of the time."""
    config = usual()
    for word in words:
        key, _, value = word.partition("=")
        group, name = key.split(".")
        part = getattr(config, group)
        kind = type(getattr(part, name))
        typed = value == "true" if kind is bool else int(value) if kind is int else value
        config = dataclasses.replace(config, **{group: dataclasses.replace(part, **{name: typed})})
    return config


class Asked:
    """What `pirig demos` asks before it makes anything, and demos as it would have made them."""

    def __init__(self, root, *words):
        self.config = config_of(f"run.root={root}", *words)
        self.places = places_of(self.config)
        config, folder = self.config, self.places.demos
        self.asked = make.asked_of(self.places.contract, config.task, config.demos, folder, root / "data")

    def relation(self):
        return relation_to(self.asked, self.places.demos)

    def make(self, source="trajectory file", seeds=(0, 1, 2)):
        contract, folder = self.places.contract, self.places.demos
        assert not claim(contract, folder, self.asked)
        kept = list(seeds)[: self.config.demos.count]
        for seed in kept:
            write_episode(episode_file(folder, seed), {"actions": np.full((4, 7), seed, np.float32)})
            append_tried(folder, seed, 4)
        DemosManifest(len(kept), len(kept), kept, [4] * len(kept), source, [0, 9]).save(folder)
        return self


def test_a_second_file_of_the_same_name_is_refused_with_both(tmp_path):
    first, second = write_file(tmp_path / "first", [0, 1]), write_file(tmp_path / "second", [5, 6, 7])
    Asked(tmp_path, f"demos.path={first}", "demos.count=2").make()
    with pytest.raises(IdentityError, match=rf"(?s)episode 0: '0:.*{first}.*' then, '5:.*{second}.*' now.*\nTo .* mv "):
        Asked(tmp_path, f"demos.path={second}", "demos.count=3").relation()


def test_the_same_seeds_with_other_actions_are_another_file(tmp_path):
    """ManiSkill's planner and its RL agents leave files of one name, both from seed 0 on."""
    planner, agent = write_file(tmp_path / "planner", [0, 1]), write_file(tmp_path / "rl", [0, 1], offset=0.5)
    Asked(tmp_path, f"demos.path={planner}", "demos.count=2").make()
    with pytest.raises(IdentityError, match="episode 0"):
        Asked(tmp_path, f"demos.path={agent}", "demos.count=2").relation()


def test_a_file_that_was_replaced_under_its_path_is_another_one(tmp_path):
    path = write_file(tmp_path / "mine", [0, 1])
    Asked(tmp_path, f"demos.path={path}", "demos.count=2").make()
    write_file(tmp_path / "mine", [0, 1], offset=0.25)
    with pytest.raises(IdentityError, match="episode 0"):
        Asked(tmp_path, f"demos.path={path}", "demos.count=2").relation()


@pytest.mark.parametrize("where", ["copied", "spelled otherwise", "written again", "with a README"])
def test_the_same_episodes_are_the_same_wherever_they_lie(tmp_path, where, capsys):
    path = write_file(tmp_path / "mine", [0, 1])
    Asked(tmp_path, f"demos.path={path}", "demos.count=2").make()
    if where == "copied":
        path = write_file(tmp_path / "elsewhere", [0, 1])
    elif where == "spelled otherwise":
        path = tmp_path / "mine" / ".." / "mine" / "trajectory.h5"
    elif where == "written again":
        sidecar = path.with_suffix(".json")
        sidecar.write_text(json.dumps(json.loads(sidecar.read_text()), indent=4))
    else:
        (path.parent / "README.md").write_text("planned on Monday")
        (path.parent / ".DS_Store").write_bytes(b"\0")
    again = Asked(tmp_path, f"demos.path={path}", "demos.count=2")
    assert again.relation() == Same()
    assert claim(again.places.contract, again.places.demos, again.asked)
    assert "holds them already, made from the same source" in capsys.readouterr().out


def test_a_raised_count_and_a_longer_file_add_episodes_and_a_lowered_count_is_refused(tmp_path):
    path = write_file(tmp_path / "mine", [0, 1, 2])
    Asked(tmp_path, f"demos.path={path}", "demos.count=2").make()
    assert Asked(tmp_path, f"demos.path={path}", "demos.count=3").relation() == Extends(2, 3)
    write_file(tmp_path / "mine", [0, 1, 2, 3, 4])
    assert Asked(tmp_path, f"demos.path={path}", "demos.count=2").relation() == Same()
    assert Asked(tmp_path, f"demos.path={path}").relation() == Extends(2, 5)
    with pytest.raises(IdentityError, match="size: 2 then, 1 now"):
        Asked(tmp_path, f"demos.path={path}", "demos.count=1").relation()


def test_training_alone_does_not_take_demos_of_another_file(tmp_path):
    Asked(tmp_path, f"demos.path={write_file(tmp_path / 'first', [0, 1])}").make()
    other = Asked(tmp_path, f"demos.path={write_file(tmp_path / 'second', [3])}")
    with pytest.raises(IdentityError, match="trajectory"):
        require_startable(other.config, other.places)
    assert not other.places.run.exists()


@pytest.mark.parametrize("words", [["task.hold_steps=5"], ["task.solver=solvePullCube"], ["demos.first_seed=7"],
                                   ["demos.count=5"], ["demos.labels=true"]])  # fmt: skip
def test_demos_that_are_planned_otherwise_lie_elsewhere(tmp_path, words):
    first = Asked(tmp_path, "demos.count=3").make("motion planner solvePushCube, last pose held for 0 steps")
    other = Asked(tmp_path, "demos.count=3", *words)
    assert other.places.data != first.places.data and other.relation() is None
    there = dataclasses.replace(other.asked, size=3)
    there.save(record_of(first.places.demos))
    if words != ["demos.count=5"]:
        with pytest.raises(IdentityError):
            first.relation()


def test_another_version_of_the_planner_makes_other_demos(tmp_path):
    first = Asked(tmp_path, "demos.count=3").make("motion planner solvePushCube, last pose held for 0 steps")
    record = record_of(first.places.demos)
    record.write_text(record.read_text().replace("mani_skill 3", "mani_skill 2"))
    with pytest.raises(IdentityError, match=r"planner: 'mani_skill 2.* then, 'mani_skill 3"):
        first.relation()


@pytest.mark.parametrize(("seeds", "source", "fits"), [
    ((0, 1), "trajectory file", True), ((5, 6), "trajectory file", False), ((0, 1), "motion planner", False),
])  # fmt: skip
def test_demos_from_before_there_were_records_are_adopted_where_they_fit(tmp_path, seeds, source, fits, capsys):
    path = write_file(tmp_path / "mine", [0, 1, 2])
    old = Asked(tmp_path, f"demos.path={path}", "demos.count=2").make(source, seeds)
    record_of(old.places.demos).unlink()
    if not fits:
        with pytest.raises(IdentityError):
            claim(old.places.contract, old.places.demos, old.asked)
        return
    assert claim(old.places.contract, old.places.demos, old.asked)
    assert "no record of what they were made from" in capsys.readouterr().out
    assert claim(old.places.contract, old.places.demos, old.asked) and record_of(old.places.demos).is_file()
    assert "no record" not in capsys.readouterr().out


def test_a_file_that_is_gone_is_not_asked_for_but_a_mistyped_path_is(tmp_path, capsys):
    path = write_file(tmp_path / "mine", [0, 1])
    made = Asked(tmp_path, f"demos.path={path}", "demos.count=2").make()
    path.unlink()
    config, places = made.config, made.places
    manifest = door.maker(places.contract)(places.contract, config.task, config.demos, places.demos, tmp_path)
    assert manifest.kept == 2 and "is gone" in capsys.readouterr().out
    typo = config_of(f"run.root={tmp_path}", f"demos.path={tmp_path / 'mime' / 'trajectory.h5'}")
    with pytest.raises(ValueError, match="is not there"):
        door.maker(places.contract)(places.contract, typo.task, typo.demos, places.demos, tmp_path)
