"""What ManiSkill offers at the door; imports nothing heavy."""

from __future__ import annotations

import importlib.util

from pirig.contract import Contract
from pirig.sim.door import Scenes, Simulator
from pirig.sim.maniskill import renderer


class ManiSkill:
    def missing(self) -> str:
        return "" if importlib.util.find_spec("mani_skill") else "ManiSkill is not installed here"

    def missing_scenes(self) -> str:
        from pirig.sim.maniskill.vector_env import missing_device

        return missing_device()

    def probe(self) -> tuple[bool, str]:
        renderer.configure()
        report = renderer.probe()
        return report.ok, f"renderer {report.name}" + ("" if report.ok else f": {report.error}")

    def prepare(self) -> None:
        renderer.configure()
        renderer.limit_threads()

    def open(self, contract: Contract) -> Simulator:
        from pirig.sim.maniskill.env import SimEnv

        return SimEnv(contract)

    def open_scenes(self, contract: Contract, num_envs: int) -> Scenes:
        from pirig.sim.maniskill.vector_env import VectorEnv

        return VectorEnv(contract, num_envs)
