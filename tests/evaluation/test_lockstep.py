"""Scenes that are stepped together give the table that simulators of their own give, and what they cannot do is said."""

import dataclasses
import functools
import json
import shutil

import numpy as np
import pytest

from pirig.config.load import compose, of_run
from pirig.config.places import places_of
from pirig.evaluation.drivers import DemoDriver, PolicyDriver
from pirig.evaluation.lockstep import LockstepPool
from pirig.evaluation.results import ResultsFile
from pirig.evaluation.rollouts import roll_out
from pirig.evaluation.scene_group import Group, Run, Start
from pirig.evaluation.target import result_settings
from pirig.evaluation.videos import film
from pirig.evaluation.workers import WorkerPool
from pirig.gates.finding import GateError
from pirig.policies.policy import Policy
from pirig.sim.door import Observation, StepInfo
from pirig.stages import eval as stage
from pirig.stages.eval import require_simulator
from tests.evaluation.stacked import Stacked, broken

SEEDS = [100, 101, 102, 103, 104]


@pytest.fixture(scope="module")
def pools(contract):
    with LockstepPool(contract, 2, 1, Stacked) as together, WorkerPool(contract, 2) as apart:
        yield together, apart


def rows(results):
    return [(one.scene, one.success, one.first_success, one.steps, one.flags) for one in results.results(SEEDS)]


@pytest.mark.parametrize("late", [{}, {"delay": 2, "rtc": True}], ids=["in time", "late"])
def test_a_policys_episodes_are_those_of_single_simulators(pools, pipeline, params, tmp_path, late):
    """Five seeds in two scenes: two full rounds, and one in which a scene has nothing to do."""
    found = []
    for number, pool in enumerate(pools):
        policy = Policy(params, pipeline, flow_steps=2, batch_size=2)
        results = ResultsFile(tmp_path / str(number))
        driver = PolicyDriver(policy, execute=4, noise_seed=0, **late)
        roll_out(pool, driver, SEEDS, max_steps=10, results=results, label="test")
        found.append(results)
    together, apart = found
    assert rows(together) == rows(apart)
    for seed in SEEDS:
        np.testing.assert_array_equal(together.actions(seed), apart.actions(seed))


def test_demos_of_unequal_lengths_end_where_they_end(pools, contract, tmp_path):
    random = np.random.default_rng(0)
    lengths = dict(zip(SEEDS, (3, 9, 5, 4, 7), strict=True))
    actions = {seed: random.uniform(-1, 1, (steps, 7)).astype(np.float32) for seed, steps in lengths.items()}
    found = []
    for number, pool in enumerate(pools):
        results = ResultsFile(tmp_path / str(number))
        roll_out(pool, DemoDriver(actions), SEEDS, max_steps=50, results=results, label="test")
        found.append(rows(results))
        paths = film(pool, results, SEEDS, tmp_path / str(number) / "videos", count=2, every=2, fps=20)
        assert [path.name for path in paths] == ["failure-seed100.mp4", "failure-seed101.mp4"]
    assert found[0] == found[1]
    assert [row[3] for row in found[0]] == list(lengths.values())
    assert _frames(tmp_path, 0) == _frames(tmp_path, 1)


def _frames(folder, number):
    return [path.read_bytes() for path in sorted((folder / str(number) / "videos").glob("*.mp4"))]


class Counted:
    """Two scenes of which the second succeeds at step 2."""

    num_envs = 2

    def reset(self, scenes, states):
        self.steps, self.stepped = 0, []

    def step(self, actions):
        self.steps += 1
        self.stepped.append(actions)
        return [StepInfo(one == 1 and self.steps >= 2, {}, self.steps) for one in range(2)]

    def observe(self):
        return [Observation({}, {"frame": np.array(self.steps)})] * 2


def test_an_episode_that_stood_still_is_not_continued():
    group = Group(Counted())
    group.answer(Start({0: 7, 1: 8}, {0: {}, 1: {}}))
    answer = group.answer(Run({0: np.ones((2, 1)), 1: np.ones((4, 1))}, max_steps=50, look=True))
    assert (answer[0].steps, answer[1].steps, answer[1].first_success) == (2, 4, 2)
    np.testing.assert_array_equal(group.scenes.stepped[3], [[0], [1]])  # the first scene stands still
    with pytest.raises(RuntimeError, match=r"place 0 \(scene 7\) stood still"):
        group.answer(Run({0: np.ones((2, 1)), 1: np.ones((2, 1))}, max_steps=50, look=True))


def test_a_scene_whose_episode_has_ended_sees_nothing_of_what_follows():
    group = Group(Counted())
    group.answer(Start({0: 7, 1: 8}, {0: {}, 1: {}}))
    answer = group.answer(Run({0: np.ones((30, 1)), 1: np.ones((30, 1))}, max_steps=20, look=True))
    assert (answer[0].steps, answer[0].done) == (20, True)
    assert (answer[1].steps, answer[1].done, answer[1].success_now) == (12, True, True)  # ten steps after its success
    assert answer[0].observation is None and len(group.scenes.stepped) == 20


def test_a_failing_simulator_brings_its_own_traceback(contract):
    with LockstepPool(contract, 3, 1, broken) as pool:
        pool.run(0, np.zeros((1, 7), np.float32), max_steps=3, look=False)
        with pytest.raises(RuntimeError, match=r"(?s)simulator of 3 scenes failed.*no device today"):
            pool.next_ready([0])


def test_a_gpu_that_is_not_here_is_said_before_anything_starts(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    quickstart = compose(["experiment=quickstart"])
    require_simulator(quickstart, places_of(quickstart))
    with pytest.raises(ValueError, match=r"eval\.sim_backend=gpu.*no CUDA device.*eval\.sim_backend=cpu"):
        require_simulator(compose(["experiment=quickstart", "eval.sim_backend=gpu"]), places_of(quickstart))


def test_results_of_a_gpu_lie_apart_and_those_of_the_cpu_where_they_were(tmp_path):
    cpu = result_settings(compose(["experiment=quickstart", "eval.num_envs=8"]), tmp_path, 100)
    gpu = result_settings(compose(["experiment=quickstart", "eval.sim_backend=gpu", "eval.num_envs=8"]), tmp_path, 100)
    assert "num_envs" not in cpu and "sim_backend" not in cpu
    assert gpu == cpu | {"sim_backend": "gpu", "num_envs": 8}


@pytest.fixture
def as_on_a_gpu(smoke_run, tmp_path, monkeypatch):
    """A config for scenes that are stepped together, and the places of a copy of the run."""
    monkeypatch.setattr("pirig.sim.maniskill.vector_env.missing_device", lambda *given: "")
    monkeypatch.setattr("pirig.evaluation.lockstep.LockstepPool", functools.partial(LockstepPool, scenes=Stacked))
    folder = shutil.copytree(smoke_run.folder, tmp_path / "run")
    config = of_run(smoke_run.folder, ["eval.sim_backend=gpu", "eval.num_envs=2"])
    return config, dataclasses.replace(places_of(config), run=folder)


def test_the_stage_asks_the_gates_there_and_measures_what_the_cpu_measures(as_on_a_gpu):
    config, places = as_on_a_gpu
    (cpu,) = places.run.glob("eval/*/rates.json")
    rates = stage.make(config, places).plain()
    (gpu,) = set(places.run.glob("eval/*/rates.json")) - {cpu}
    gates = json.loads((gpu.parent / "gates.json").read_text())
    assert gates["found"]["demo_replay"] == gates["found"]["first_frame"] == [] and len(gates["found"]) > 2
    measured = json.loads(cpu.read_text())
    for row in ("policy", "oracle", "untrained"):
        assert rates[row]["sub_goals"] == measured[row]["sub_goals"] and rates[row]["k"] == measured[row]["k"]


def test_physics_in_which_the_demos_fail_are_refused_before_any_episode(as_on_a_gpu, monkeypatch):
    config, places = as_on_a_gpu
    before = set(places.run.glob("eval/*"))
    monkeypatch.setattr("pirig.gates.simulated.demo_actions", lambda dataset, *given: 0 * dataset.actions[:60])
    with pytest.raises(GateError, match=r"(?s)evaluation on a GPU.*demo_replay: 0 of"):
        stage.make(config, places)
    (target,) = set(places.run.glob("eval/*")) - before
    assert not (target / "policy").exists() and json.loads((target / "gates.json").read_text())["found"]["demo_replay"]
