"""What a recorded data set says of its arm and of its numbers is compared with the contract, key by key."""

import re
from dataclasses import replace

import numpy as np
import pytest

from pirig.config.places import places_of
from pirig.datasets.lerobot.read import Dataset
from pirig.stages import convert, demos
from tests.datasets.kinova_recordings import make_recording
from tests.field.recordings import column, every, info, meta, pointed, recording

STATE, ACTION = "observation.state", "action"
JOINTS = [f"joint_{number}" for number in range(1, 8)]


def named(names, *columns):
    return every(
        *(info(lambda said, one=one: said["features"][one].update(names=names)) for one in columns or (STATE, ACTION))
    )


REFUSED = [
    (info(lambda said: said.update(robot_type="franka")), r"info\.json: robot_type is 'franka'; expected this run's kinova_gen3; give robot\.uid=franka"),
    (info(lambda said: said.update(robot_type="so100_follower")), r"robot_type is 'so100_follower'; .*robot\.uid=so100_follower"),
    (info(lambda said: said.update(robot_type="Aloha")), r"robot_type is 'Aloha'"),
    (named(["gripper", *JOINTS]), r"called gripper, joint_1, .*expected joints 1 to 7, then the gripper; give .*data\.state"),
    (named(["joint_2", "joint_1", *JOINTS[2:], "gripper.pos"], ACTION), r"data\.actions are called joint_2, joint_1.*then the gripper"),
    (named([*JOINTS[:3], "finger", *JOINTS[3:]]), r"then the gripper"),
    (named(["x", "y", "z", "roll", "pitch", "yaw", "pad", "gripper"], ACTION), r"called x, y, z, .*expected seven joints and the gripper, not a pose"),
    (named({"motors": ["x", "y", "z", "qx", "qy", "qz", "qw", "gripper"]}), r"not a pose"),
    (named([f"{joint}_deg" for joint in JOINTS] + ["gripper"]), r"expected angles in rad; give data\.angle_unit=deg"),
    (named([f"{joint}.delta" for joint in JOINTS] + ["gripper"], ACTION), r"expected joint targets, not changes; give control=kinova_joint_deltas"),
    (named([f"{joint}_velocity" for joint in JOINTS] + ["gripper"], ACTION), r"expected joint targets, not changes"),
]  # fmt: skip
TAKEN = [
    info(lambda said: said.update(robot_type="unknown")),
    info(lambda said: said.update(robot_type=None)),
    info(lambda said: said.update(robot_type="Kinova Gen3 7DoF")),
    info(lambda said: said.pop("robot_type")),
    named([*JOINTS, "gripper"]),
    named([f"main_{joint}.pos" for joint in JOINTS] + ["gripper.pos"]),
    named({"motors": [f"a{number}" for number in range(8)]}),
    named(["shoulder", "upper", "elbow", "fore", "wrist", "hand", "flange", "gripper"]),
]


@pytest.mark.parametrize("names", [JOINTS, ["a", "b", "c"], {"motors": [*JOINTS, "gripper", "spare"]}], ids=len)
def test_names_that_are_not_as_many_as_the_numbers_are_passed_over_and_said(kinova, tmp_path, capsys, names):
    config = pointed(kinova, recording(tmp_path / "mugs", named(names, ACTION)), tmp_path / "out")
    convert.make(config, places_of(config))
    count = len(names["motors"]) if isinstance(names, dict) else len(names)
    assert f"note: {ACTION} has {count} names for its 8 numbers" in capsys.readouterr().err


def test_one_name_may_stand_for_all_numbers(kinova, tmp_path, capsys):
    """As openpi's LIBERO data set has it."""
    config = pointed(kinova, recording(tmp_path / "mugs", named(["state"])), tmp_path / "out")
    convert.make(config, places_of(config))
    assert "names for its" not in capsys.readouterr().err


@pytest.mark.parametrize(("change", "says"), REFUSED, ids=[says[:50] for _, says in REFUSED])
def test_what_contradicts_the_contract_is_refused(kinova, tmp_path, change, says):
    config = pointed(kinova, recording(tmp_path / "mugs", change), tmp_path / "out")
    with pytest.raises(ValueError) as caught:
        convert.make(config, places_of(config))
    assert re.search(says, str(caught.value)), str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("change", TAKEN, ids=range(len(TAKEN)))
def test_what_says_nothing_else_is_taken(kinova, tmp_path, change):
    config = pointed(kinova, recording(tmp_path / "mugs", change), tmp_path / "out")
    assert Dataset(convert.make(config, places_of(config))).lengths == [24, 24, 24]


def test_a_count_that_is_passed_over_is_said(kinova, tmp_path, capsys):
    config = pointed(kinova, recording(tmp_path / "mugs"), tmp_path / "out")
    for count, said in ((64, False), (3, False), (2, True)):
        asked = replace(config, demos=replace(config.demos, count=count))
        demos.make(asked, places_of(asked))
        assert (f"demos.count={count} is of planned demos" in capsys.readouterr().out) == said


def test_the_remedy_for_another_order_works_as_it_is_given(kinova, tmp_path):
    """The gripper first: the columns that the message names give the numbers in the contract's order."""

    def turned(folder):
        for name in (STATE, ACTION):
            for episode in range(3):
                column(name, lambda values: [one[7:] + one[:7] for one in values], episode=episode)(folder)

    folder = recording(tmp_path / "mugs", every(turned, named(["gripper", *JOINTS])))
    config = pointed(kinova, folder, tmp_path / "out")
    for key in ("state", "actions"):
        with pytest.raises(ValueError, match=f"data.{key}") as caught:
            convert.make(config, places_of(config))
        advised = re.search(rf'give "data\.{key}=\[(.*)\]"', str(caught.value))[1]
        columns = [word.strip("'") for word in advised.split(",")]
        config = replace(config, data=replace(config.data, **{key: columns}))
    dataset = Dataset(convert.make(config, places_of(config)))
    np.testing.assert_allclose(dataset.state[dataset.episode_rows(1)], make_recording(1)[STATE], atol=1e-6)
    np.testing.assert_allclose(dataset.actions[dataset.episode_rows(2)], make_recording(2)[ACTION], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "data"), [("stats.json", b"{"), ("stats.json", b""), ("episodes_stats.jsonl", b'{"a": 1}\nnull\n')]
)
def test_statistics_that_nobody_reads_are_named_and_stop_nothing(kinova, tmp_path, capsys, name, data):
    def write(folder):
        (folder / "meta" / name).touch()
        meta(name, data)(folder)

    config = pointed(kinova, recording(tmp_path / "mugs", write), tmp_path / "out")
    convert.make(config, places_of(config))
    said = capsys.readouterr().err
    assert f"meta/{name}: " in said and "It is not used: statistics are computed from the rows." in said
