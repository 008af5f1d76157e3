"""`pirig convert`: demos into a LeRobot data set."""

from __future__ import annotations

from pathlib import Path

from pirig.config.agreement import contract_of
from pirig.config.schema import Config
from pirig.contract import Contract, require_equal
from pirig.runs.record import data_folder


def run(config: Config) -> int:
    print(f"data set: {make(config)}")
    return 0


def make(config: Config) -> Path:
    """The LeRobot folder of this config's demos; made, resumed, or found complete and of the same contract."""
    from pirig.datasets import from_maniskill

    contract = contract_of(config)
    demos = data_folder(config, contract) / "demos"
    if not demos.is_dir():
        raise ValueError(f"{demos}: no demos there; run `pirig demos` with the same settings first.")
    folder = demos.with_name("lerobot")
    if folder.is_dir():
        require_equal(contract, Contract.load(folder / "meta" / "pirig"), our_name="this run", their_name=str(folder))
    else:
        from_maniskill.convert(demos, folder, contract)
    return folder
