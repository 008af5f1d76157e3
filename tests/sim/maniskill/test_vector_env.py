"""The environment of many scenes. On a CPU it may have one, which asks everything of it but the GPU's own calls."""

import dataclasses

import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.evaluation.lockstep import LockstepPool
from pirig.sim.maniskill import renderer

renderer.configure()
renderer.limit_threads()

from pirig.sim.maniskill.env import SimEnv  # noqa: E402
from pirig.sim.maniskill.vector_env import VectorEnv  # noqa: E402

TASKS = ["pick_cube", "stack_cube", "push_cube", "pull_cube", "place_sphere", "peg_insertion_side"]


def opened(task):
    contract = contract_of(compose([f"task={task}", "camera=close"]))
    return SimEnv(contract), VectorEnv(contract, 1, backend="physx_cpu")


@pytest.mark.parametrize("task", ["pick_cube", "stack_cube", "peg_insertion_side"])  # a hidden goal, two objects, sizes
def test_a_scene_starts_as_the_single_simulators(task):
    sim, scenes = opened(task)
    sim.reset(7)
    scenes.reset([7], [sim.state()])
    (found,), seen = scenes.observe(), sim.observe()
    for ours, theirs in ((found.images, seen.images), (found.numbers, seen.numbers)):
        assert set(ours) == set(theirs)
        for name, value in theirs.items():
            np.testing.assert_allclose(ours[name].astype(float), value.astype(float), atol=1e-4, err_msg=name)
    still = np.zeros(sim.contract.action_dim)
    (info,), expected = scenes.step(still[None]), sim.step(still)
    assert (info.success, info.flags, info.steps) == (expected.success, expected.flags, 1)
    sim.close()
    scenes.close()


def test_a_scene_takes_the_state_that_it_is_given_not_its_seeds():
    sim, scenes = opened("push_cube")
    sim.reset(8)
    for _ in range(3):
        sim.step(np.full(7, 0.5))
    scenes.reset([7], [sim.state()])
    (found,), seen = scenes.observe(), sim.observe()
    np.testing.assert_allclose(found.numbers["qpos"], seen.numbers["qpos"], atol=1e-5)
    assert np.abs(found.images["base_0_rgb"].astype(int) - seen.images["base_0_rgb"]).mean() < 0.01
    sim.close()
    scenes.close()


def test_a_scene_that_does_not_take_its_state_is_refused(monkeypatch):
    sim, scenes = opened("push_cube")
    sim.reset(7)
    state = sim.state()
    monkeypatch.setattr(scenes.base, "set_state_dict", lambda *given: None)
    with pytest.raises(RuntimeError, match=r"scene 0 of 1: cube stands.*eval\.sim_backend=cpu"):
        scenes.reset([9], [state])
    with pytest.raises(ValueError, match="expected 1 x 7 finite numbers"):
        scenes.step(np.zeros((2, 7)))
    sim.close()
    scenes.close()


@pytest.mark.gpu
def test_a_gpus_scenes_start_as_the_cpus_and_answer_scene_by_scene():
    contract = contract_of(compose(["experiment=quickstart"]))
    with LockstepPool(contract, 4, 2) as pool:
        for worker in range(4):
            pool.start(worker, 100 + worker, look=True)
        answers = dict(pool.next_ready([0, 1, 2, 3]))
    sim = SimEnv(contract)
    for worker, answer in answers.items():
        sim.reset(100 + worker)
        seen = sim.observe()
        np.testing.assert_allclose(answer.observation.numbers["qpos"], seen.numbers["qpos"], atol=1e-3)
        np.testing.assert_allclose(answer.observation.numbers["goal_pos"], seen.numbers["goal_pos"], atol=1e-3)
        apart = np.abs(answer.observation.images["base_0_rgb"].astype(int) - seen.images["base_0_rgb"])
        assert apart.mean() < 3
    sim.close()


@pytest.mark.gpu
@pytest.mark.parametrize("task", TASKS)
def test_planned_demos_succeed_in_a_gpus_scenes(task, tmp_path):
    from pirig.demos.manifest import episode_files, read_episode
    from pirig.demos.maniskill.generate import generate
    from pirig.evaluation.drivers import DemoDriver
    from pirig.evaluation.results import ResultsFile
    from pirig.evaluation.rollouts import roll_out

    config = compose([f"task={task}", "camera=close", "camera.resolution_px=64", "demos.count=6"])
    contract = contract_of(config)
    manifest = generate(contract, config.task, config.demos, tmp_path / "demos")
    episodes = [read_episode(path) for path in episode_files(tmp_path / "demos")]
    actions = {int(episode["seed"]): episode["actions"] for episode in episodes}
    results = ResultsFile(tmp_path / "results")
    with LockstepPool(contract, 4, 2) as pool:
        roll_out(
            pool, DemoDriver(actions), manifest.seeds, max_steps=max(manifest.lengths), results=results, label=task
        )
    rate = results.rate(manifest.seeds)
    assert rate.k == rate.n, dataclasses.asdict(rate)
