"""Single simulators side by side, stepped together: what a GPU's scenes are to the pool, with the CPU's exact physics."""

import numpy as np

from pirig.sim.door import open_simulator


class Stacked:
    def __init__(self, contract, num_envs):
        self.sims = [open_simulator(contract) for _ in range(num_envs)]
        self.num_envs = num_envs

    def reset(self, scenes, states):
        assert all("articulations/panda" in state for state in states)
        for sim, scene in zip(self.sims, scenes, strict=True):
            sim.reset(scene)

    def step(self, actions):
        assert actions.dtype == np.float32
        return [sim.step(action) for sim, action in zip(self.sims, actions, strict=True)]

    def observe(self):
        return [sim.observe() for sim in self.sims]


def broken(contract, num_envs):
    raise RuntimeError("no device today")
