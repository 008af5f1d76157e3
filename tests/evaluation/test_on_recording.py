"""The open-loop report of an arm that is not simulated, for policies whose error is known."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.datasets.lerobot.read import Dataset
from pirig.evaluation.measured import load
from pirig.evaluation.on_recording import measure
from tests.datasets.kinova_recordings import data_set_of, write_recording

HORIZON, OFF = 4, 0.25


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    top = tmp_path_factory.mktemp("on_recording")
    folder = write_recording(top / "mugs")
    config = compose(["task=kinova", "size=tiny", "size.image_px=32", f"demos.path={folder}", f"run.root={top}"])
    return config, Dataset(data_set_of(config))


def policy_of(dataset, off):
    """Gives the demonstrated chunk, found by the state, `off` rad beside it on the first joint."""

    def predict(images, state, noise):
        assert set(images) == {"base_0_rgb", "left_wrist_0_rgb"} and noise.shape[1:] == (HORIZON, 8)
        rows = [int(np.abs(dataset.state - one).sum(axis=1).argmin()) for one in state]
        last = np.repeat(np.cumsum(dataset.lengths) - 1, dataset.lengths)
        chunks = np.stack([dataset.actions[np.minimum(row + np.arange(HORIZON), last[row])] for row in rows])
        return chunks + np.array([off] + [0] * 7, np.float32)

    pipeline = SimpleNamespace(contract=dataset.contract, relative_to_state=(), stats_of={})
    return SimpleNamespace(predict=predict, noise_shape=(HORIZON, 8), batch_size=4, pipeline=pipeline)


@pytest.mark.parametrize("off", [0.0, OFF])
def test_errors_are_the_policys_own_on_each_set(recording, tmp_path, off):
    config, dataset = recording
    measured = measure(policy_of(dataset, off), dataset, [1], places_of(config), 256)
    assert {name: row.episodes for name, row in measured.rows.items()} == {"held_out": 1, "training": 2}
    for row in measured.rows.values():
        assert row.error["j1"] == pytest.approx(off, abs=1e-5) and row.error["gripper"] == pytest.approx(0, abs=1e-5)
        assert row.error_of_repeating["j2"] > 0
    measured.save(tmp_path)
    assert json.loads((tmp_path / "action_error.json").read_text()) == measured.plain() and load(tmp_path) == measured


def test_without_held_out_episodes_the_report_says_so(recording):
    config, dataset = recording
    measured = measure(policy_of(dataset, OFF), dataset, [], places_of(config), 256)
    shown = "\n".join(measured.lines())
    assert list(measured.rows) == ["training"] and "train.validation_share=0.1" in shown
    assert shown.endswith("Success is measured on the arm.") and "0.2500" in shown
