"""A label of one's own: the simulator's side gives one more name, and it stands in demos, data set and statistics."""

import json

import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.datasets import from_demos
from pirig.datasets.inspect import look
from pirig.datasets.lerobot.read import Dataset
from pirig.demos import door as demos_door
from pirig.sim import door
from tests.wishes.test_simulator import ASKED
from tests.wishes.toy_simulator import ToySimulator


@pytest.fixture
def config(monkeypatch):
    monkeypatch.setattr(demos_door, "MAKERS", dict(demos_door.MAKERS))
    demos_door.register("toy", f"{__name__}:make_demos")
    return compose(ASKED)


class WithLabel(ToySimulator):
    def labels(self) -> door.Labels:
        return {**super().labels(), "distance_m": np.array([np.linalg.norm(self.goal - self.point)], np.float32)}


def make_demos(contract, task, demos, folder, downloads):
    from pirig.demos.collect import collect
    from tests.wishes.toy_simulator import Expert

    expert = Expert(contract)
    expert.simulator = WithLabel
    return collect(contract, expert, list(range(16)), demos.count, 1, folder)


def test_one_more_name_in_labels_is_one_more_column(config, tmp_path):
    contract, folder = contract_of(config), tmp_path / "data" / "own" / "demos"
    demos_door.maker(contract)(contract, config.task, config.demos, folder, tmp_path)
    from_demos.convert(folder, tmp_path / "lerobot", contract, labels=True)
    dataset = Dataset(tmp_path / "lerobot")
    away_m = np.linalg.norm(dataset.labels["goal_position_m"][:, :2] - dataset.state[:, :2], axis=1)
    np.testing.assert_allclose(dataset.labels["distance_m"][:, 0], away_m, atol=1e-6)
    info = json.loads((tmp_path / "lerobot/meta/info.json").read_text())["features"]
    assert info["labels.goal_position_m"]["names"] == ["x_m", "y_m", "z_m"]
    assert info["labels.distance_m"] == {"dtype": "float32", "shape": [1], "names": ["distance_m_0"]}
    assert any("labels.distance_m" in line for line in look(tmp_path / "lerobot").lines)
