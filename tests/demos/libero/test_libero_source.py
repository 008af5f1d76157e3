"""What the scripted expert did is kept where it succeeds again with the last digits of its actions changed."""

from types import SimpleNamespace

import numpy as np

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.demos.libero.source import ExpertSource


class Bowl:
    """Succeeds at the third step of the actions, if each is within `apart` of 1."""

    def __init__(self, contract, apart):
        self.contract, self.apart = contract, apart

    def reset(self, scene, start=None):
        self.good = 0

    def step(self, action):
        self.good += abs(action[0] - 1) <= self.apart
        return SimpleNamespace(success=self.good == 3)

    def observe(self):
        return SimpleNamespace(numbers={}, images={"base_0_rgb": np.zeros((2, 2, 3), np.uint8)})


def kept(apart):
    config = compose(["task=libero_spatial", "task.only=0", "demos.max_steps=10"])
    source = ExpertSource(contract_of(config), config.demos)
    source.sim, source._planned = Bowl(source.contract, apart), lambda scene: ([np.ones(7, np.float32)] * 5, None)
    return source.episode(0)


def test_a_success_that_hangs_on_the_last_digits_is_not_kept_and_one_in_the_middle_is_whole():
    assert kept(0) is None
    episode = kept(1e-3)
    assert len(episode["actions"]) == len(episode["image/base_0_rgb"]) == 5 and episode["success"]
