"""A simulator in sixty lines that has nothing to do with ManiSkill: a point in a plane, and a place to bring it to.

A scene is the number of an initial state, as in suites that have a list of them; things settle for some steps first.
"""

import numpy as np

from pirig.sim.door import Observation, StepInfo

REACHED_M, SETTLE_STEPS, SIZE_PX = 0.05, 10, 16
GOALS_M = np.random.default_rng(0).uniform(-1, 1, (50, 2)).astype(np.float32)


class ToySimulator:
    def __init__(self, contract):
        self.contract = contract

    def reset(self, scene, state=None):
        self.steps = 0
        self.goal = GOALS_M[scene % len(GOALS_M)]
        self.point = np.zeros(2, np.float32)
        for _ in range(SETTLE_STEPS):
            self.point = self.point * 0.5
        if state is not None:
            self.goal, self.point = state["goal"], state["point"]

    def step(self, action):
        self.steps += 1
        self.point = self.point + 0.1 * np.clip(np.asarray(action, np.float32), -1, 1)
        near = bool(np.abs(self.goal - self.point).max() < REACHED_M)
        return StepInfo(near, {"reached": bool(np.abs(self.goal - self.point).max() < 0.3), "placed": near}, self.steps)

    def observe(self):
        images = {}
        for camera in self.contract.cameras:
            image = np.zeros((camera.height_px, camera.width_px, 3), np.uint8)
            for channel, place in enumerate((self.goal, self.point)):
                x, y = np.clip((place + 1) / 2 * [camera.width_px, camera.height_px], 0, camera.width_px - 1).astype(
                    int
                )
                image[y, x, channel] = 255
            images[camera.role] = image
        return Observation(images, self.sense())

    def sense(self):
        return {"tcp_pose": np.array([*self.point, 0, 1, 0, 0, 0], np.float32)}

    def labels(self):
        return {"goal_position_m": np.array([*self.goal, 0], np.float32)}

    def state(self):
        return {"goal": self.goal, "point": self.point}

    def prompt(self):
        return self.contract.prompt

    def close(self):
        pass


class Toy:
    """The implementation: what a folder of `pirig/sim` has one of."""

    def missing(self):
        return ""

    def missing_scenes(self):
        return "the toy has no scenes that are stepped together; use eval.sim_backend=cpu"

    def probe(self):
        return True, "draws points"

    def prepare(self):
        pass

    def open(self, contract):
        return ToySimulator(contract)

    def open_scenes(self, contract, num_envs):
        raise ValueError(self.missing_scenes())


def make_demos(contract, task, demos, folder, downloads):
    """Its scripted expert, by what all makers of demos share."""
    from pirig.demos.collect import collect

    first = demos.first_seed
    return collect(contract, Expert(contract), list(range(first, first + 4 * demos.count)), demos.count, 1, folder)


class Expert:
    name = "straight to the goal"
    simulator = ToySimulator

    def __init__(self, contract):
        self.contract = contract

    def open(self):
        self.sim = self.simulator(self.contract)

    def episode(self, seed):
        self.sim.reset(seed)
        rows, success = [], False
        while not success and len(rows) < 40:
            shown = self.sim.observe()
            action = np.clip((self.sim.goal - self.sim.point) / 0.1, -1, 1).astype(np.float32)
            images = {f"image/{role}": image for role, image in shown.images.items()}
            labels = {f"labels/{name}": value for name, value in self.sim.labels().items()}
            rows.append({**images, **shown.numbers, **labels, "actions": action})
            success = self.sim.step(action).success
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]} if success else None
