"""Another simulator: one file, one line for it and one for whoever makes its demos, one task YAML.

It goes from demos to a data set with labels and through evaluation's own roll-outs to a rate, by processes of its own.
"""

import dataclasses

import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.contract import Contract
from pirig.datasets import from_demos
from pirig.datasets.lerobot.read import Dataset
from pirig.demos import door as demos_door
from pirig.evaluation.drivers import DemoDriver
from pirig.evaluation.results import ResultsFile, sub_goals
from pirig.evaluation.rollouts import Request, roll_out
from pirig.evaluation.videos import film
from pirig.evaluation.workers import WorkerPool
from pirig.gates import simulated
from pirig.sim import door
from tests.wishes.toy_simulator import GOALS_M, REACHED_M

TASK = ["task.simulator=toy", "task.env_id=point", "task.prompt=bring the point to the goal", "task.goal_visible=true"]
ROBOT = ["state.entries=[tcp_pose]", "control.action_dim=2", "control.layout=dx dy", "camera.resolution_px=16"]
ASKED = [*TASK, *ROBOT, "demos.count=4", "demos.labels=true"]


@pytest.fixture
def config(monkeypatch):
    monkeypatch.setattr(door, "IMPLEMENTATIONS", dict(door.IMPLEMENTATIONS))
    monkeypatch.setattr(demos_door, "MAKERS", dict(demos_door.MAKERS))
    door.register("toy", "tests.wishes.toy_simulator:Toy")
    demos_door.register("toy", "tests.wishes.toy_simulator:make_demos")
    return compose(ASKED)


class Looks:
    """A policy that goes where the picture shows the goal."""

    looks, max_requests = True, 8

    def __init__(self):
        self.prompts: set[str] = set()

    def act(self, requests: list[Request]) -> list[np.ndarray]:
        self.prompts |= {request.prompt for request in requests}
        return [np.tile(self._direction(request.observation), (2, 1)) for request in requests]

    def _direction(self, observation: door.Observation) -> np.ndarray:
        (image,) = observation.images.values()
        row, column = np.unravel_index(image[..., 0].argmax(), image.shape[:2])
        seen_m = (np.array([column, row]) + 0.5) / image.shape[0] * 2 - 1
        return np.clip((seen_m - observation.numbers["tcp_pose"][:2]) / 0.2, -1, 1).astype(np.float32)


def test_a_toy_simulator_gets_a_rate(config, tmp_path):
    contract = contract_of(config)
    assert Contract.from_json(contract.to_json()).simulator == "toy"
    driver, results, scenes = Looks(), ResultsFile(tmp_path / "policy"), list(range(10, 18))
    with WorkerPool(contract, 2) as pool:
        roll_out(pool, driver, scenes, max_steps=40, results=results, label="toy")
        film(pool, results, scenes, tmp_path / "videos", count=1, every=4, fps=contract.control_hz)
    rate = results.rate(scenes)
    reachable = sum(_distance(scene) < REACHED_M for scene in scenes)  # a pixel is 0.125 m wide
    assert rate.n == 8 and rate.k >= reachable > 0
    assert sub_goals(results.results(scenes))["reached"] == 8
    assert driver.prompts == {"bring the point to the goal"}
    assert (tmp_path / "videos" / "sheet.png").is_file()


def _distance(scene: int) -> float:
    """Of a goal from the middle of the pixel that shows it."""
    goal = GOALS_M[scene % len(GOALS_M)]
    return float(np.abs(goal - (np.floor((goal + 1) * 8) + 0.5) / 8 + 1).max())


def test_its_demos_become_a_data_set_with_labels_and_succeed_when_replayed(config, tmp_path):
    contract, folder = contract_of(config), tmp_path / "data" / "own" / "demos"
    manifest = demos_door.maker(contract)(contract, config.task, config.demos, folder, tmp_path)
    assert manifest.kept == 4
    from_demos.convert(folder, tmp_path / "lerobot", contract, labels=config.demos.labels)
    dataset = Dataset(tmp_path / "lerobot")
    assert list(dataset.labels) == ["goal_position_m"]
    np.testing.assert_array_equal(dataset.labels["goal_position_m"][0, :2], GOALS_M[dataset.seeds[0] % len(GOALS_M)])
    with WorkerPool(contract, 1) as pool:
        assert simulated.first_frame(dataset, pool) == []
        results = ResultsFile(tmp_path / "oracle")
        actions = {seed: dataset.actions[dataset.episode_rows(one)] for one, seed in enumerate(dataset.seeds)}
        roll_out(pool, DemoDriver(actions), dataset.seeds, max_steps=40, results=results, label="oracle")
    assert results.rate(dataset.seeds).k == 4


def test_a_simulator_that_nobody_knows_and_a_name_that_is_taken_are_said(config):
    unknown = dataclasses.replace(contract_of(config), simulator="fog")
    with pytest.raises(ValueError, match=r"simulator 'fog': expected one of maniskill, libero, toy"):
        door.open_simulator(unknown)
    with pytest.raises(ValueError, match=r"simulator 'fog': nothing makes demos there"):
        demos_door.maker(unknown)
    with pytest.raises(ValueError, match=r"simulator 'toy' is .*toy_simulator:Toy already"):
        door.register("toy", "elsewhere:Toy")
    assert "no simulator to ask" in door.unavailable(dataclasses.replace(unknown, simulator="recorded"))
