"""Temporal ensembling: which chunks a step is the mean of, and that nothing changes where it is off."""

import dataclasses

import numpy as np
import pytest

from pirig.config.load import compose
from pirig.evaluation.drivers import PolicyDriver
from pirig.evaluation.rollouts import Request
from pirig.evaluation.target import result_settings
from pirig.sim.door import Observation


class Counting:
    """A policy whose chunk number n foresees 100 n + the step for each of 5 steps."""

    horizon, noise_shape, batch_size = 5, (5, 1), 4

    def __init__(self):
        self.asked = {}

    def infer(self, observations, noise, told):
        chunks = []
        for observation in observations:
            scene, step = observation.numbers["scene"], observation.numbers["step"]
            number = self.asked[scene] = self.asked.get(scene, -1) + 1
            chunks.append((100.0 * number + step + np.arange(5, dtype=np.float32))[:, None])
        return np.stack(chunks)


def steps_of(driver, scene, chunks):
    """What is executed in an episode of so many chunks."""
    executed = []
    for chunk in range(chunks):
        seen = Observation({}, {"scene": scene, "step": chunk * driver.execute})
        executed += driver.act([Request(scene, chunk, seen)])[0][:, 0].tolist()
    return executed


def test_a_step_is_the_weighted_mean_of_all_chunks_that_foresaw_it():
    driver = PolicyDriver(Counting(), execute=2, noise_seed=0, ensemble=0.5)
    executed = steps_of(driver, 7, 3)
    # steps 0, 1: chunk 0. Steps 2, 3: chunks 1 and 0. Step 4: chunks 2, 1 and 0 (its last); step 5: chunks 2 and 1
    wanted = [0, 1, *(step + 100 / 1.5 for step in (2, 3)), 4 + (200 + 0.5 * 100) / 1.75, 5 + (200 + 0.5 * 100) / 1.5]
    np.testing.assert_allclose(executed, wanted, rtol=1e-6)


def test_scenes_do_not_meet_and_an_episode_begins_without_the_last_ones_chunks():
    driver = PolicyDriver(Counting(), execute=2, noise_seed=0, ensemble=1.0)
    steps_of(driver, 1, 3)
    assert steps_of(driver, 2, 1) == [0, 1]
    assert steps_of(driver, 1, 1) == [300, 301]


def test_without_it_the_newest_chunk_is_executed():
    assert steps_of(PolicyDriver(Counting(), execute=2, noise_seed=0), 3, 2) == [0, 1, 102, 103]


def test_it_has_a_domain_and_older_results_are_found_without_it(tmp_path):
    with pytest.raises(ValueError, match=r"eval\.ensemble=2"):
        compose(["eval.ensemble=2"])
    config = compose([])
    assert "ensemble" not in result_settings(config, tmp_path, 100)
    config.eval = dataclasses.replace(config.eval, ensemble=0.5)
    assert result_settings(config, tmp_path, 100)["ensemble"] == 0.5
