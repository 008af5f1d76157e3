"""A data set of each preset's layout is read by it: where it lies, or converted, to the numbers and pictures that it holds."""

import json
import shutil

import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.checks import ConfigError
from pirig.config.load import compose
from pirig.config.places import META, places_of
from pirig.datasets.in_place import InPlace, open_folder
from pirig.datasets.joined import prompts_of
from pirig.datasets.make import open_data_set, require_current
from pirig.datasets.make_stats import relation_of
from pirig.gates.data import check
from pirig.stages import convert, stats
from pirig.transforms.normalize import load_norm_stats
from tests.datasets.kinova_recordings import BASE, WRIST, make_recording, write_recording
from tests.datasets.layouts import LAYOUTS, WORDS, episodes_of, moving, settings_of
from tests.datasets.npz_episodes import write_episodes

STEPS = 14


def config_of(name, folder, root, *words):
    given = [f"data={name}", f"demos.path={folder}", f"run.root={root}", "size=tiny", "horizon=4", "eval.execute=4"]
    return compose([*given, *WORDS.get(name, []), *words])


def numbers_of(episodes, columns):
    return np.concatenate([np.concatenate([one[column] for column in columns], axis=1) for one in episodes])


def recorded(tmp_path, name, **changed):
    episodes = changed.pop("episodes", None) or episodes_of(name)
    return write_recording(tmp_path / name, episodes=episodes, **{**settings_of(name), **changed}), episodes


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_a_preset_reads_its_layout_and_its_gates_ask_what_can_be_asked(tmp_path, name, version, capsys):
    folder, episodes = recorded(tmp_path, name, version=version)
    config = config_of(name, folder, tmp_path / "out")
    places = places_of(config)
    before = sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*"))
    convert.make(config, places)
    stats.make(config, places)
    dataset = open_data_set(config, places)
    assert isinstance(dataset, InPlace) == (name != "kinova") == ("is read where it lies" in capsys.readouterr().out)
    np.testing.assert_allclose(dataset.state, numbers_of(episodes, config.data.state), atol=1e-6)
    np.testing.assert_allclose(dataset.actions, numbers_of(episodes, config.data.actions), atol=1e-6)
    columns = config.data.columns
    for camera in dataset.contract.cameras:
        for row in (0, STEPS, 3 * STEPS - 1, 5):  # not in order
            shown = episodes[row // STEPS][columns[camera.role]][row % STEPS]
            np.testing.assert_array_equal(dataset.image(camera.role, row), shown)
    assert dataset.contract.fps == settings_of(name)["fps"]
    made = load_norm_stats(places.norm_stats)
    report = check(dataset, made, "quantile", config.gates, relation=relation_of(config))
    assert report.good, report.found
    assert {"first_frame", "demo_replay"} <= set(report.impossible)
    if name in ("lab", "ours"):
        assert "does not say in which scene" in report.impossible["seeds"] and "seeds" not in report.found
    assert sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*")) == before


def test_several_sentences_stay_with_their_episodes_and_a_column_may_say_them(tmp_path):
    folder, episodes = recorded(tmp_path, "libero")
    config = config_of("libero", folder, tmp_path / "out")
    convert.make(config, places_of(config))
    told = prompts_of(open_data_set(config, places_of(config)))
    assert list(told[[0, STEPS, 2 * STEPS]]) == ["put the bowl away", "open the drawer", "put the bowl away"]
    said = [one | {"language_instruction": np.array([f"do {number}"] * STEPS)} for number, one in enumerate(episodes)]
    other = write_recording(tmp_path / "said", episodes=said, **settings_of("libero"))
    config = config_of("libero", other, tmp_path / "out", "data.prompt=language_instruction")
    convert.make(config, places_of(config))
    assert list(prompts_of(open_data_set(config, places_of(config)))[[0, STEPS, 2 * STEPS]]) == ["do 0", "do 1", "do 2"]
    with pytest.raises(
        ValueError, match=r"no column 'instruction' of sentences \(of text it has language_instruction\)"
    ):
        config_of("libero", other, tmp_path / "out", "data.prompt=instruction")


def test_a_film_in_place_shows_what_its_conversion_shows(tmp_path):
    folder = write_recording(tmp_path / "mugs", video=True, version="v3.0")
    config = config_of("kinova", folder, tmp_path / "out", "dataset.format=source")
    convert.make(config, places_of(config))
    converted = config_of("kinova", folder, tmp_path / "out")
    convert.make(converted, places_of(converted))
    ours, theirs = (open_data_set(one, places_of(one)) for one in (config, converted))
    assert isinstance(ours, InPlace) and ours.has_films
    for row in (30, 0, 71, 24):
        for role in ours.roles:
            np.testing.assert_array_equal(ours.image(role, row), theirs.image(role, row))
    np.testing.assert_array_equal(ours.state, theirs.state)
    np.testing.assert_array_equal(ours.actions, theirs.actions)


def test_in_place_a_changed_recording_is_noticed_and_a_lost_one_named(tmp_path):
    folder, _ = recorded(tmp_path, "libero")
    config = config_of("libero", folder, tmp_path / "out")
    places = places_of(config)
    convert.make(config, places)
    require_current(config, places)
    shutil.rmtree(folder)
    recorded(tmp_path, "libero", episodes=episodes_of("libero", 4)[1:])
    with pytest.raises(ValueError, match="something else"):
        require_current(config, places)
    shutil.rmtree(folder)
    dataset = open_folder(places.data_set)
    with pytest.raises(ValueError, match=r"its pictures lie in .*libero, which is not there"):
        dataset.image("base_0_rgb", 0)


def test_npz_episodes_are_converted_not_read_in_place(tmp_path):
    config = config_of("kinova", write_episodes(tmp_path / "npz"), tmp_path / "out", "dataset.format=source")
    with pytest.raises(ValueError, match=r"npz episodes cannot be read in place; give dataset\.format=v3\.0"):
        convert.make(config, places_of(config))
    assert not places_of(config).data_set.exists()


def test_old_keys_mean_the_same_and_are_said_once(tmp_path, capsys):
    folder = write_recording(tmp_path / "mugs")
    words = ["task=kinova", "size=tiny", f"demos.path={folder}", f"run.root={tmp_path}"]
    old = compose([*words, "demos.angle_unit=deg", "demos.state_columns=['observation.state[0:8]']"])
    new = compose([*words, "data.angle_unit=deg", "data.state=['observation.state[0:8]']"])
    assert old == new and places_of(old).data == places_of(new).data
    assert capsys.readouterr().err.count("demos.angle_unit is data.angle_unit now") <= 1
    mine = tmp_path / "experiment"
    mine.mkdir()
    (mine / "mine.yaml").write_text("# @package _global_\ndemos: {gripper_max: 100}\n")
    assert compose([f"hydra.searchpath=[file://{tmp_path}]", *words, "experiment=mine"]).data.gripper_max == 100


ARM = """# @package _global_
defaults:
  - override /robot: recorded
  - override /camera: recorded
  - override /control: recorded
  - override /task: recorded
data:
  name: so100
  base: observation.images.top
  wrist: ""
  state: [observation.state]
  actions: [action]
  angle_unit: deg
  gripper_max: 100
state: {name: so100, entries: [joints5, gripper1], angle_center_rad: [0, 0, 0, 0, 0]}
control: {mode: joint_position, action_dim: 6, layout: pan lift elbow flex roll gripper, relative_to_state: [5, -1]}
"""


@pytest.fixture
def own_arm(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "so100.yaml").write_text(ARM)
    episodes = []
    for seed in range(3):
        numbers = moving(seed, 20, 6, [5]) * np.array([57.29578] * 5 + [100], np.float32)
        pictures = make_recording(seed, 20)[BASE]
        episodes.append({"observation.images.top": pictures, "observation.state": numbers[:-1], "action": numbers[1:]})
    folder = write_recording(tmp_path / "arm", episodes=episodes, robot="so100", fps=30)
    return [
        f"hydra.searchpath=[file://{tmp_path}]",
        "data=so100",
        f"demos.path={folder}",
        "size=tiny",
        f"run.root={tmp_path}/o",
    ]


def test_an_arm_that_nobody_knows_is_one_yaml(own_arm):
    config = compose([*own_arm, "horizon=4", "eval.execute=4"])
    contract, places = contract_of(config), places_of(config)
    assert (contract.robot_uid, contract.control_hz, contract.state_dim, contract.action_dim) == ("so100", 30, 6, 6)
    convert.make(config, places)
    stats.make(config, places)
    dataset = open_data_set(config, places)
    assert np.abs(dataset.state[:, :5]).max() < 1 and 0 <= dataset.state[:, 5].min() < dataset.state[:, 5].max() <= 1
    report = check(dataset, load_norm_stats(places.norm_stats), "quantile", config.gates, relation=relation_of(config))
    assert report.good, report.found


def test_another_rate_is_refused_or_resampled_by_a_key(own_arm):
    config = compose([*own_arm, "control.control_hz=10"])
    with pytest.raises(ValueError, match=r"at 30 frames a second, control\.control_hz=10; .*data\.resample=true"):
        convert.make(config, places_of(config))
    full = compose(own_arm)
    convert.make(full, places_of(full))
    config = compose([*own_arm, "control.control_hz=10", "data.resample=true", "horizon=4", "eval.execute=4"])
    convert.make(config, places_of(config))
    every, third = (open_data_set(one, places_of(one)) for one in (full, config))
    assert third.lengths == [7, 7, 7]
    np.testing.assert_allclose(third.state[:7], every.state[0:20:3], atol=1e-6)
    np.testing.assert_allclose(third.actions[:6], every.actions[2:20:3], atol=1e-6)  # due a tenth of a second later
    np.testing.assert_array_equal(third.image("base_0_rgb", 2), every.image("base_0_rgb", 6))
    with pytest.raises(ConfigError, match=r"data\.resample=true with control\.control_hz=0"):
        compose([*own_arm, "data.resample=true"])


def test_changes_per_step_cannot_be_resampled_and_a_wrong_label_can_be_put_right(tmp_path):
    folder, _ = recorded(tmp_path, "lab")
    config = config_of("lab", folder, tmp_path / "out", "control.control_hz=20")
    with pytest.raises(
        ValueError, match=r"at 10 .*control\.control_hz=20; .* if the simulator is to be asked at that rate"
    ):
        convert.make(config, places_of(config))
    config = config_of("lab", folder, tmp_path / "out", "control.control_hz=20", "data.resample=true")
    with pytest.raises(ValueError, match=r"changes per step, .*data\.fps=20"):
        convert.make(config, places_of(config))
    config = config_of("lab", folder, tmp_path / "out", "control.control_hz=20", "data.fps=20")
    convert.make(config, places_of(config))
    assert open_data_set(config, places_of(config)).contract.fps == 20


@pytest.mark.parametrize(
    ("name", "words", "says"),
    [
        ("lab", ["camera=wrist", "data.wrist=''"], r"data\.wrist= with camera=wrist: left_wrist_0_rgb has no column"),
        (
            "lab",
            ["camera.entries.base.role=base_1_rgb"],
            "base_1_rgb: a mapping of recorded data .* has columns for base_0_rgb",
        ),
        ("lab", ["demos.labels=true"], "a recorded data set has no labels"),
        ("libero", ["data.base=''", "data.wrist=''"], r"no column of pictures; give data\.base"),
        (
            "libero",
            ["data.base=cam0"],
            r"no image column 'cam0' for base_0_rgb \(it has image, wrist_image\); .*data\.base=",
        ),
        ("libero", ["control.relative_to_state=[6,-1]"], "its actions are no targets"),
        ("libero", ["data.state=['state[0:7]']"], r"holds 7 numbers, expected 8 \(tool6 \+ hand2\)"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused_with_what_to_do(tmp_path, name, words, says):
    folder, _ = recorded(tmp_path, name)
    with pytest.raises(ValueError, match=says):
        config = config_of(name, folder, tmp_path / "out", *words)
        convert.make(config, places_of(config))
    assert not (tmp_path / "out").exists()


def test_planned_demos_are_no_source(tmp_path):
    with pytest.raises(ConfigError, match=r"dataset\.format=source with task=push_cube.*data=NAME demos\.path"):
        compose(["task=push_cube", "dataset.format=source"])
    with pytest.raises(ConfigError, match=r"demos\.path=None with data=lab"):
        compose(["task=push_cube", "data=lab"])


def test_what_is_kept_beside_a_recording_is_small_and_says_where_it_lies(tmp_path):
    folder, _ = recorded(tmp_path, "libero")
    config = config_of("libero", folder, tmp_path / "out")
    convert.make(config, places_of(config))
    kept = places_of(config).data_set
    assert {path.name for path in kept.iterdir()} == {"meta"}
    assert json.loads((kept / META / "in_place.json").read_text())["recording"] == str(folder.resolve())
    assert WRIST not in (kept / META / "in_place.json").read_text()
