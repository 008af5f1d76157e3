"""`pirig convert`: demos, or a data set recorded on a real arm, into a LeRobot data set with a contract."""

from __future__ import annotations

from pathlib import Path

from pirig.config.places import META, Places, places_of
from pirig.config.schema import Config
from pirig.contract import Contract, require_equal


def run(config: Config) -> int:
    print(f"data set: {make(config, places_of(config))}")
    return 0


def make(config: Config, places: Places) -> Path:
    """The LeRobot folder of this config's demos; made, resumed, or found complete and of the same contract."""
    contract, folder = places.contract, places.data_set
    if folder.is_dir():
        require_equal(contract, Contract.load(folder / META), our_name="this run", their_name=str(folder))
    if config.robot.simulated:
        _from_demos(config, places)
    else:
        _from_recorded(config, contract, folder)
    return folder


def _from_demos(config: Config, places: Places) -> None:
    from pirig.datasets import from_demos

    if not places.demos.is_dir():
        raise ValueError(f"{places.demos}: no demos there; run `pirig demos` with the same settings first.")
    if not places.data_set.is_dir():
        from_demos.convert(places.demos, places.data_set, places.contract, labels=config.demos.labels)


def _from_recorded(config: Config, contract: Contract, folder: Path) -> None:
    from pirig.datasets import from_lerobot
    from pirig.datasets.lerobot_source import LeRobotSource

    recording = Path(config.demos.path or "")
    if folder.is_dir():
        from_lerobot.require_same(folder, recording)
    else:
        from_lerobot.convert(LeRobotSource(recording), folder, contract, config.demos)
