"""Gates on data of a real arm: a good recording passes all of them, each fault is named with its remedy."""

import re
from dataclasses import replace

import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.config.schema import GatesConfig
from pirig.datasets.lerobot.read import Dataset
from pirig.datasets.norm_stats import compute
from pirig.gates import arm, data
from tests.datasets.kinova_recordings import data_set_of, make_recording, write_recording


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    top = tmp_path_factory.mktemp("arm")
    folder = write_recording(top / "mugs")
    config = compose(["task=kinova", "size=tiny", f"demos.path={folder}", f"run.root={top}"])
    assert contract_of(config).angle_center_rad == (0.0,) * 7
    return data_set_of(config)


@pytest.fixture
def dataset(made):
    found = Dataset(made)
    found.state, found.actions = found.state.copy(), found.actions.copy()
    return found


def test_a_good_recording_passes_and_what_cannot_be_asked_is_recorded(dataset):
    report = data.check(dataset, compute(dataset), "quantile", GatesConfig())
    assert report.good, report.lines()
    assert {"angles", "gripper", "images", "statistics", "finite"} <= set(report.found)
    assert report.impossible == dict.fromkeys(data.SIMULATED, "recorded on a real arm, there is no simulator to ask")
    assert "skip  demo_replay: recorded on a real arm, there is no simulator to ask" in report.lines()


def turned(values: np.ndarray, by: float) -> np.ndarray:
    return (values + by + np.pi) % (2 * np.pi) - np.pi


def test_an_angle_that_wraps_is_named_with_a_centre_that_cures_it(dataset, tmp_path):
    episodes = [make_recording(seed) for seed in range(3)]
    for episode in episodes:
        for key in ("observation.state", "action"):
            middle = (dataset.state[:, 2].max() + dataset.state[:, 2].min()) / 2
            episode[key][:, 2] = turned(episode[key][:, 2], np.pi - middle)
    folder = write_recording(tmp_path / "mugs", episodes=episodes)
    words = ["task=kinova", "size=tiny", f"demos.path={folder}", f"run.root={tmp_path}"]
    (said,) = arm.angles(Dataset(data_set_of(compose(words))))
    assert "joint 3 wraps by 2 pi" in said
    remedy = said.rpartition("give ")[2]
    assert remedy.startswith("state.angle_center_rad=[0,0,")
    cured = Dataset(data_set_of(compose([*words, remedy])))
    assert arm.angles(cured) == [] and np.ptp(cured.state[:, 2]) < 4


def test_the_free_centre_is_opposite_the_widest_gap():
    center, gap = arm.free_center(np.array([3.0, -3.0, 3.1]))
    assert abs(abs(center) - np.pi) < 0.15 and gap == pytest.approx(2 * np.pi - (2 * np.pi - 6.0), abs=1e-9)


def test_a_joint_that_goes_all_the_way_round_has_no_centre(dataset):
    rows = dataset.episode_rows(0)
    dataset.state[rows, 0] = turned(np.linspace(0, 8, rows.stop - rows.start), 0)
    (said,) = arm.angles(dataset)
    assert "goes all the way round" in said and "angle_center" not in said


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (
            lambda one: one.state.__setitem__((slice(None), 1), one.state[:, 1] * 57.3),
            r"joint 2 moves .* degrees taken",
        ),
        (
            lambda one: one.actions.__setitem__((slice(None), 4), one.state[:, 4] + 2 * np.pi),
            r"same place a turn away; give",
        ),
        (
            lambda one: one.actions.__setitem__((slice(None), 0), one.actions[:, 0] + 1.5),
            r"joint 1 is sent .* joint order",
        ),
        (lambda one: one.actions.__setitem__((slice(None), 7), one.actions[:, 7] * 100), r"gripper_max=100"),
        (lambda one: one.actions.__setitem__((slice(None), 7), 1 - one.actions[:, 7]), r"opposite directions"),
    ],
    ids=["degrees", "a turn away", "another order", "per cent", "against each other"],
)
def test_a_fault_is_named(dataset, fault, says):
    assert not arm.angles(dataset) + arm.gripper(dataset)
    fault(dataset)
    (said,) = arm.angles(dataset) + arm.gripper(dataset)
    assert re.search(says, said), said


def test_the_grippers_polarity_is_read_from_where_episodes_start(dataset):
    dataset.state[:, 7], dataset.actions[:, 7] = 1 - dataset.state[:, 7], 1 - dataset.actions[:, 7]
    (said,) = arm.gripper(dataset)
    assert (
        "control.gripper_open=0 calls closed" in said and "histogram" in said and "give control.gripper_open=1" in said
    )
    dataset.contract = replace(dataset.contract, gripper_open=1.0)
    assert arm.gripper(dataset) == []


def test_a_dead_camera_stops_the_training(tmp_path):
    episodes = [make_recording(seed) for seed in range(2)]
    for episode in episodes:
        episode["observation.images.wrist"][:] = 0
    folder = write_recording(tmp_path / "mugs", episodes=episodes)
    made = Dataset(data_set_of(compose(["task=kinova", "size=tiny", f"demos.path={folder}", f"run.root={tmp_path}"])))
    report = data.check(made, compute(made), "quantile", GatesConfig())
    assert "left_wrist_0_rgb" in report.found["images"][0] and not report.good
