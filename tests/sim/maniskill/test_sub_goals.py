"""A demo that succeeds passes every step of its task's funnel; a robot that stands still passes none."""

import json

import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.demos.maniskill.planner import PLANNING_MODE, RecordingEnv, find_solver, plan
from pirig.demos.maniskill.replay import open_simulators
from pirig.sim.sub_goals import ordered

LIFT_PEG = ["task=push_cube", "task.name=lift_peg", "task.env_id=LiftPegUpright-v1", "task.solver=solveLiftPegUpright"]


def test_the_demos_of_a_run_pass_the_whole_funnel_and_the_results_say_so(smoke_run):
    (path,) = smoke_run.folder.glob("eval/*/rates.json")
    oracle = json.loads(path.read_text())["oracle"]
    assert list(oracle["sub_goals"].items()) == [("reached", oracle["n"]), ("moved", 2), ("placed", 2)]


def test_the_funnel_comes_in_the_order_of_an_episode():
    assert ordered({"placed", "is_obj_placed", "grasped", "reached"}) == [
        "reached",
        "grasped",
        "placed",
        "is_obj_placed",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "seed"),
    [(["task=pick_cube", "state=joints_goal"], 0), (["task=stack_cube"], 0), (["task=push_cube"], 0), (["task=pull_cube"], 3),
     (["task=place_sphere"], 4), (["task=peg_insertion_side"], 2), (LIFT_PEG, 0)],
)  # fmt: skip
def test_every_task_has_a_funnel(words, seed):
    config = compose(words)
    contract = contract_of(config)
    planner, sim = open_simulators(contract, PLANNING_MODE)
    actions = plan(find_solver(config.task), RecordingEnv(planner), seed, config.task.hold_steps)
    assert actions is not None
    from pirig.sim.maniskill.sub_goals import SubGoals

    planner.reset(seed=seed, options={"reconfigure": True})
    goals = SubGoals(contract.env_id, planner.unwrapped)
    seen: list[set[str]] = []
    for action in actions:
        _, _, _, _, info = planner.step(action)
        seen.append({name for name, value in goals.flags(info).items() if value})
    steps = goals.parts.steps
    assert set().union(*seen) == set(steps)
    sim.reset(seed)
    still = sim.step(np.zeros(contract.action_dim, np.float32))
    assert not any(still.flags[name] for name in steps)
    planner.close()
    sim.close()
