"""The planner solves from where a policy stands: in the real simulator, and its episode replays from there."""

import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.demos import door
from pirig.demos.maniskill.retreat import MOST_RAD, SETTLE_STEPS, straight
from pirig.improving.lost import SUCCESS
from pirig.improving.watching import Acted, watch
from pirig.sim.door import open_simulator
from pirig.sim.maniskill.batches import batched

SEED = 600_000


@pytest.fixture(scope="module")
def config():
    return compose(["task=pull_cube", "camera.resolution_px=32"])


def test_a_correction_starts_where_the_policy_was_and_succeeds_when_replayed(config):
    """A policy that goes up and to one side for a second; the planner takes over there."""
    contract = contract_of(config)
    away = np.tile(np.array([0, 0.6, 0.6, 0, 0, 0, -1], np.float32), (20, 1))
    sim = open_simulator(contract)
    seen = watch(sim, Acted(SEED, away))
    assert len(seen.states) == 20 and not seen.timeline[SUCCESS].any() and {"reached", "moved"} <= set(seen.timeline)
    start = seen.states[-1]
    expert = door.expert(contract, config.task, labels=True)
    expert.open()
    episode = expert.solve(SEED, start)
    assert episode is not None and episode["success"]
    np.testing.assert_allclose(episode["start/actors/cube"], start["actors/cube"], atol=1e-5)
    np.testing.assert_allclose(episode["qpos"][0], start["articulations/panda"][13:22], atol=1e-5)
    kept = {name.removeprefix("start/"): part for name, part in episode.items() if name.startswith("start/")}
    again = watch(sim, Acted(SEED, episode["actions"], kept))
    assert again.timeline[SUCCESS][-1]
    assert "labels/cube_position_m" in episode and episode["image/base_0_rgb"].shape[1:] == (32, 32, 3)


def test_where_the_planner_finds_no_way_the_arm_goes_back_to_the_start_and_it_is_solved_from_there(config):
    """A solver that knows its way from the start alone, as one that pushes knows none from the wrong side of the cube."""
    contract = contract_of(config)
    away = np.tile(np.array([0, 0.6, 0.6, 0, 0, 0, -1], np.float32), (20, 1))
    sim = open_simulator(contract)
    start = watch(sim, Acted(SEED, away)).states[-1]
    expert = door.expert(contract, config.task, labels=False)
    expert.open()
    rest = batched(expert.planning.unwrapped.agent.keyframes["rest"].qpos)
    usual, stood_at = expert.solver, []

    def knows_the_start_alone(env, **how):
        stood_at.append(np.abs(batched(env.unwrapped.agent.robot.get_qpos())[0, :7] - rest[:7]).max())
        return usual(env, **how) if stood_at[-1] < 0.1 else -1

    expert.solver = knows_the_start_alone
    episode = expert.solve(SEED, start)
    assert episode is not None and episode["success"] and len(stood_at) == 2 and stood_at[0] > 0.1 > stood_at[1]
    assert (episode["actions"][:, -1] == -1).all()  # fingers that were closed stay closed
    np.testing.assert_allclose(episode["qpos"][0], start["articulations/panda"][13:22], atol=1e-5)
    kept = {name.removeprefix("start/"): part for name, part in episode.items() if name.startswith("start/")}
    assert watch(sim, Acted(SEED, episode["actions"], kept)).timeline[SUCCESS][-1]


def test_no_joint_is_hurried_on_its_way_back():
    targets = straight(np.zeros(7, np.float32), np.array([0.5, -1.0, 0, 0, 0, 0, 0.1], np.float32))
    assert np.abs(np.diff(targets, axis=0)).max() <= MOST_RAD + 1e-6
    np.testing.assert_allclose(targets[-1], [0.5, -1.0, 0, 0, 0, 0, 0.1], atol=1e-6)
    assert (targets[-1] == targets[-SETTLE_STEPS]).all() and len(straight(np.zeros(7), np.zeros(7))) == 1 + SETTLE_STEPS


def test_who_cannot_solve_is_said(config):
    import dataclasses

    contract = contract_of(config)
    with pytest.raises(ValueError, match="nothing there solves a task from where a policy lost its way"):
        door.expert(dataclasses.replace(contract, simulator="fog"), config.task, labels=False)


def test_a_solver_that_breaks_is_said_and_its_scene_left_out(config, capsys):
    contract = contract_of(config)
    sim = open_simulator(contract)
    start = watch(sim, Acted(SEED, np.zeros((1, 7), np.float32))).states[-1]
    expert = door.expert(contract, config.task, labels=False)
    expert.open()

    def breaks(*_, **__):
        raise IndexError("list index out of range")

    expert.solver = breaks
    assert expert.solve(SEED, start) is None
    assert (
        f"scene {SEED}: solvePullCube stopped there: IndexError: list index out of range; left out if"
        in capsys.readouterr().err
    )
