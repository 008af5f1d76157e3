"""The real vla-eval harness runs a toy benchmark of its own kind against our policy."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from vla_eval import api
from vla_eval.benchmarks.base import StepBenchmark, StepResult
from vla_eval.specs import RAW

from pirig.serving.batches import predictor
from pirig.serving.vla_eval import HarnessServer, name_of, shown

SEEN: list[np.ndarray] = []


class Toy(StepBenchmark):
    """Succeeds after three actions of the right width."""

    def __init__(self, state_dim: int, action_dim: int, px: int):
        super().__init__()
        self.state_dim, self.action_dim, self.px = state_dim, action_dim, px

    def get_tasks(self):
        return [{"name": "toy", "suite": "toy"}]

    def reset(self, task):
        self.steps = 0
        return self._look()

    def step(self, action):
        SEEN.append(np.asarray(action["actions"]))
        assert SEEN[-1].shape == (self.action_dim,)
        self.steps += 1
        return StepResult(self._look(), 0.0, self.steps == 3, {})

    def make_obs(self, raw_obs, task):
        return {"images": {"front": raw_obs}, "state": np.zeros(self.state_dim), "task_description": "push the cube"}

    def get_step_result(self, step_result):
        return {"success": self.steps == 3}

    def get_action_spec(self):
        return {"actions": RAW}

    def get_observation_spec(self):
        return {}

    def _look(self):
        return np.full((self.px, self.px, 3), 40 * self.steps, np.uint8)


@pytest.fixture
def harness(policy):
    contract = policy.pipeline.contract
    settings = {
        "cameras": {"front": contract.cameras[0].role},
        "execute": 2,
        "max_batch": 2,
        "max_wait_s": 0.001,
        "seed": 0,
    }
    return HarnessServer(predictor(policy), contract, policy.noise_shape, **settings)


def test_a_benchmark_of_the_harness_runs(policy, harness, tmp_path):
    contract = policy.pipeline.contract
    sys.modules.setdefault("toy_benchmark", sys.modules[__name__])
    params = {"state_dim": contract.state_dim, "action_dim": contract.action_dim, "px": contract.cameras[0].height_px}
    entry = {"benchmark": "toy_benchmark:Toy", "name": "toy", "episodes_per_task": 2, "max_steps": 10, "params": params}
    with api.serve_background(harness) as server:
        config = {"benchmarks": [{**entry, "paced": False}]}
        results = api.run(config, server_url=server.url, output_dir=tmp_path, no_save=True, docker=False)
    assert len(SEEN) == 6 and results[0]["num_errors"] == 0 and results[0]["mean_success"] == 1.0
    assert results[0]["server_info"]["action_spec"]["actions"]["format"] == contract.control_mode


def test_what_a_benchmark_sends_is_checked(policy):
    contract = policy.pipeline.contract
    camera = contract.cameras[0]
    image = np.zeros((camera.height_px, camera.width_px, 3), np.uint8)
    good = {"images": {"front": image}, "state": np.zeros(contract.state_dim), "task_description": "x"}
    assert shown(good, contract, {}).prompt == "x"
    for change, said in (
        ({"state": None}, "sends no state"),
        ({"state": np.zeros(2)}, "has 2 numbers"),
        ({"images": {"front": image[:5]}}, r"images.front is uint8"),
        ({"images": None}, "expected images"),
    ):
        with pytest.raises(ValueError, match=said):
            shown(good | change, contract, {})
    with pytest.raises(ValueError, match=r"which of the benchmark's cameras \(front, side\) is base_0_rgb"):
        name_of("base_0_rgb", {"front": image, "side": image}, {}, 1)
