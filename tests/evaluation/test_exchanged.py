"""Language must matter: a suite's tasks are told one another's sentences, and a policy that listens fails."""

import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.checks import ConfigError
from pirig.config.load import compose
from pirig.evaluation.drivers import PolicyDriver, exchanged
from pirig.evaluation.results import ResultsFile
from pirig.evaluation.rollouts import roll_out
from pirig.evaluation.target import result_settings
from pirig.evaluation.workers import _Worker
from pirig.sim.door import Observation, StepInfo

SUITE = ["task=libero_object"]


@pytest.fixture(scope="module")
def suite():
    return contract_of(compose(SUITE))


class Ten:
    """Ten tasks, each a place on a circle that the hand is to be brought to."""

    def __init__(self, contract):
        self.contract = contract

    def reset(self, scene, state=None):
        self.task, self.at, self.steps = scene % 10, np.zeros(2), 0

    def step(self, action):
        self.at, self.steps = self.at + action[:2] / 10, self.steps + 1
        return StepInfo(bool(np.linalg.norm(self.at - place(self.task)) < 0.1), {}, self.steps)

    def observe(self):
        return Observation({}, {"at": self.at.copy()})

    def prompt(self):
        return self.contract.scenes[self.task].prompt


def place(task: int) -> np.ndarray:
    return np.array([np.cos(task * np.pi / 5), np.sin(task * np.pi / 5)])


class Here:
    """A pool of one simulator in this process."""

    count, repeatable = 1, True

    def __init__(self, sim):
        self.worker = _Worker(sim)

    def start(self, worker, scene, *, look, state=None):
        self.answer = self.worker.answer("start", scene, look, state)

    def run(self, worker, actions, *, max_steps, look):
        self.answer = self.worker.answer("run", actions, max_steps, look)

    def next_ready(self, busy):
        return [(0, self.answer)]


class Policy:
    """Goes where it is told to; where it does not listen, always to the first place."""

    horizon, noise_shape, batch_size, blends = 4, (4, 7), 1, False

    def __init__(self, suite, *, listens):
        self.prompts, self.listens = [scene.prompt for scene in suite.scenes], listens

    def infer(self, observations, noise, prompts=None, *, underway=None):
        goals = [place(self.prompts.index(prompt) if self.listens else 0) for prompt in prompts]
        off = np.array([goal - shown.numbers["at"] for goal, shown in zip(goals, observations, strict=True)])
        chunk = np.zeros((len(off), 4, 7), np.float32)
        chunk[:, :, :2] = np.clip(off, -0.5, 0.5)[:, None]
        return chunk


def succeeded(suite, told, folder, *, listens) -> int:
    results, scenes = ResultsFile(folder), list(range(20))
    driver = PolicyDriver(Policy(suite, listens=listens), execute=2, noise_seed=0, told=told)
    roll_out(Here(Ten(suite)), driver, scenes, max_steps=60, results=results, label="toy")
    return results.rate(scenes).k


def test_a_policy_that_listens_falls_from_all_to_none_and_one_that_does_not_stays(suite, tmp_path):
    assert succeeded(suite, {}, tmp_path / "own", listens=True) == 20
    assert succeeded(suite, exchanged(suite), tmp_path / "exchanged", listens=True) == 0
    deaf = [
        succeeded(suite, told, tmp_path / name, listens=False) for name, told in (("a", {}), ("b", exchanged(suite)))
    ]
    assert deaf == [2, 2]


def test_every_task_is_told_another_ones_sentence(suite):
    told = exchanged(suite)
    assert set(told) == set(told.values()) == {scene.prompt for scene in suite.scenes}
    assert all(own != other for own, other in told.items())


def test_its_results_lie_apart_and_older_ones_keep_their_names():
    usual, other = (
        result_settings(compose([*SUITE, *words]), None, 280) for words in ([], ["eval.exchange_prompts=true"])
    )
    assert "exchange_prompts" not in usual and other == usual | {"exchange_prompts": True}


@pytest.mark.parametrize("words", [["task=push_cube"], [*SUITE, "task.only=3"], [*SUITE, "task.prompt=go"]])
def test_one_sentence_cannot_be_exchanged(words):
    with pytest.raises(ConfigError, match=r"eval\.exchange_prompts=true with task=.*; give one of several tasks"):
        compose([*words, "eval.exchange_prompts=true"])
