"""Demos in ManiSkill: planned here, or replayed from a trajectory file, one's own or ManiSkill's."""

from __future__ import annotations

from pathlib import Path

from pirig.config.schema import DemosConfig, TaskConfig
from pirig.contract import Contract
from pirig.demos.manifest import DemosManifest
from pirig.demos.maniskill import download, generate, trajectory
from pirig.sim.maniskill import renderer


def make(contract: Contract, task: TaskConfig, demos: DemosConfig, folder: Path, downloads: Path) -> DemosManifest:
    """See `demos.door.Maker`."""
    renderer.configure()
    if not demos.path:
        return generate.generate(contract, task, demos, folder)
    fetched = demos.path == download.WORD
    file = download.fetch(contract.env_id, downloads / "maniskill") if fetched else Path(demos.path)
    return trajectory.from_file(contract, file, demos, folder)
