"""`pirig convert`: demos, or a data set recorded on a real arm, into a LeRobot data set with a contract."""

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
    contract = contract_of(config)
    folder = data_folder(config, contract) / "lerobot"
    if folder.is_dir():
        require_equal(contract, Contract.load(folder / "meta" / "pirig"), our_name="this run", their_name=str(folder))
    if config.robot.simulated:
        _from_demos(contract, folder)
    else:
        _from_recorded(config, contract, folder)
    return folder


def _from_demos(contract: Contract, folder: Path) -> None:
    from pirig.datasets import from_maniskill

    demos = folder.with_name("demos")
    if not demos.is_dir():
        raise ValueError(f"{demos}: no demos there; run `pirig demos` with the same settings first.")
    if not folder.is_dir():
        from_maniskill.convert(demos, folder, contract)


def _from_recorded(config: Config, contract: Contract, folder: Path) -> None:
    from pirig.datasets import from_lerobot
    from pirig.datasets.lerobot_source import LeRobotSource

    recording = Path(config.demos.path or "")
    if folder.is_dir():
        from_lerobot.require_same(folder, recording)
    else:
        from_lerobot.convert(LeRobotSource(recording), folder, contract, config.demos)
