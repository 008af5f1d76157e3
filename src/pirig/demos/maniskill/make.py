"""Demos in ManiSkill: planned here, or replayed from a trajectory file, one's own or ManiSkill's."""

from __future__ import annotations

from pathlib import Path

from pirig.config.schema import DemosConfig, TaskConfig
from pirig.contract import Contract
from pirig.demos.manifest import FILE_NAME, DemosManifest
from pirig.demos.maniskill import download, generate, source, trajectory
from pirig.files import identity
from pirig.files.identity import Identity
from pirig.sim.maniskill import renderer


def make(contract: Contract, task: TaskConfig, demos: DemosConfig, folder: Path, downloads: Path) -> DemosManifest:
    """See `demos.door.Maker`."""
    if demos.max_steps:
        raise ValueError(
            f"demos.max_steps={demos.max_steps} with task={task.name}: demos in ManiSkill may have any length, and the "
            "evaluation's limit follows them; leave it out (eval.max_steps=0), or demos.leave_out_wandering=true leaves out the "
            "few that are much longer."
        )
    renderer.configure()
    if not demos.path:
        return generate.generate(contract, task, demos, folder)
    if (kept := _of_a_source_that_is_gone(demos, folder)) is not None:
        return kept
    fetched = demos.path == download.WORD
    file = download.fetch(contract.env_id, downloads / "maniskill") if fetched else Path(demos.path)
    return trajectory.from_file(contract, file, demos, folder)


def asked_of(
    contract: Contract, task: TaskConfig, demos: DemosConfig, folder: Path, downloads: Path
) -> Identity | None:
    """See `demos.door.Asked`."""
    if not demos.path:
        return generate.asked_of(contract, generate.planned_by(task, demos), demos)
    fetched = demos.path == download.WORD
    file = download.there(contract.env_id, downloads / "maniskill") if fetched else Path(demos.path)
    if file is None or not file.is_file():
        return None
    return source.asked_of(
        contract, trajectory.FileSource.name, file, trajectory.read_index(contract, file), demos, folder
    )


def _of_a_source_that_is_gone(demos: DemosConfig, folder: Path) -> DemosManifest | None:
    """Complete demos of a file that lay where `demos.path` says, and does no more."""
    made = identity.load(folder / identity.FILE_NAME)
    path = Path(demos.path or "")
    lay_there = made is not None and made.places.get("source") == str(path.resolve())
    if path.is_file() or not lay_there or not (folder / FILE_NAME).is_file():
        return None
    print(f"demos: {path} is gone; {folder}, made from it, is taken as it is", flush=True)
    return DemosManifest.load(folder)
