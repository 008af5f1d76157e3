"""A state of one's own: one YAML that lists entries. Numbers that no entry names yet are one line of the table."""

import subprocess
import sys

import numpy as np
import pytest

from pirig.config import state_entries
from pirig.config.agreement import contract_of
from pirig.config.deltas import UNIT_M, place_columns
from pirig.config.load import compose
from pirig.config.state_entries import JOINTS, Owner, StateEntry
from pirig.datasets.lerobot.read import Dataset
from pirig.training.corrective import remaining
from pirig.transforms.state import build_state

YAML = "name: hand\nentries: [qpos8, tcp_pose]\n"


@pytest.fixture
def conf(tmp_path):
    (tmp_path / "conf" / "state").mkdir(parents=True)
    (tmp_path / "conf" / "state" / "hand.yaml").write_text(YAML)
    return tmp_path / "conf"


def test_one_yaml_makes_a_data_set_with_another_state(conf, tmp_path):
    chosen = ["--config-dir", str(conf), "state=hand", f"run.root={tmp_path / 'out'}"]
    small = ["demos.count=1", "demos.workers=1", "camera.resolution_px=32"]
    for verb in ("demos", "convert"):
        command = [sys.executable, "-m", "pirig", verb, *chosen, *small]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
    (folder,) = (tmp_path / "out").rglob("lerobot")
    dataset = Dataset(folder)
    state = dataset.state
    assert state.shape[1] == 8 + 7
    np.testing.assert_allclose(np.linalg.norm(state[:, -4:], axis=1), 1, atol=1e-4)  # the hand's quaternion
    assert np.ptp(state[:, 8:11], axis=0).max() > 0.02  # and its place, which moves
    place_m, told = state[:, place_columns(dataset.contract.state)], dataset.actions[:, :3]
    one_episode, unit_m = np.zeros(len(state), int), UNIT_M[dataset.contract.control_mode]
    left = remaining(place_m, told, one_episode, unit_m, 8)  # ManiSkill's hand goes along the axes that it is told
    assert left[7] < 0.5
    with pytest.raises(ValueError, match="not the axes"):
        remaining(place_m, told[:, [2, 1, 0]], one_episode, unit_m, 8)


def test_one_line_adds_a_source_of_numbers(monkeypatch):
    monkeypatch.setitem(state_entries.STATE_ENTRIES, "joints_only", StateEntry("qpos", JOINTS, Owner.simulator))
    contract = contract_of(compose(["state.entries=[joints_only]"]))
    qpos = np.arange(18, dtype=np.float32).reshape(2, 9)
    assert contract.state_dim == 7
    np.testing.assert_array_equal(build_state(contract.state, {"qpos": qpos}), qpos[:, :7])


def test_a_finger_can_stand_without_the_joints():
    contract = contract_of(compose(["state=tcp"]))
    source = {"qpos": np.arange(9, dtype=np.float32), "tcp_pose": np.arange(10, 17, dtype=np.float32)}
    assert contract.state_dim == 8
    np.testing.assert_array_equal(build_state(contract.state, source), [*range(10, 17), 7])


def test_an_entry_that_nobody_knows_is_refused_with_those_that_are_known():
    with pytest.raises(ValueError, match=r"elbow.*qpos8"):
        compose(["state.entries=[elbow]"])
