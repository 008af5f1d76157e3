"""Which of conf/data's presets reads a recording: told by the names of its columns and by their widths."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from pirig.config.load import register_schema
from pirig.config.mapping import DataConfig
from pirig.config.state_entries import state_entry


@dataclass(frozen=True)
class Preset:
    """`state` and `actions`: how many numbers each holds. `simulated`: its policy is measured in a simulator."""

    name: str
    state: int
    actions: int
    simulated: bool

    @property
    def words(self) -> str:
        """Of the command that trains on such a recording."""
        return f"data={self.name}{' task=TASK' if self.simulated else ''} demos.path=FOLDER"


def fitting(pictures: Collection[str], widths: Mapping[str, int]) -> list[Preset]:
    """`pictures`: the columns of pictures; `widths`: how many numbers each of the others has."""
    named = [name for name, data in mappings().items() if _is_there(data, pictures, widths)]
    return [preset for preset in map(_composed, named) if _is_as_wide(preset, widths)]


@lru_cache(maxsize=1)
def mappings() -> dict[str, DataConfig]:
    """What each file of conf/data says of columns."""
    files = sorted(resources.files("pirig.conf").joinpath("data").iterdir(), key=lambda file: file.name)
    told = {file.name.removesuffix(".yaml"): file.read_text() for file in files if file.name.endswith(".yaml")}
    return {name: dataclasses.replace(DataConfig(), **yaml.safe_load(text)["data"]) for name, text in told.items()}


def _is_there(data: DataConfig, pictures: Collection[str], widths: Mapping[str, int]) -> bool:
    return data.base in pictures and {*data.state, *data.actions} <= set(widths)


def _is_as_wide(preset: Preset, widths: Mapping[str, int]) -> bool:
    data = mappings()[preset.name]
    found = [sum(widths[column] for column in columns) for columns in (data.state, data.actions)]
    return found == [preset.state, preset.actions]


@lru_cache
def _composed(name: str) -> Preset:
    config = _config_of(name)
    state = sum(state_entry(entry).count for entry in config.state.entries)
    return Preset(name, state, config.control.action_dim, config.robot.simulated)


def _config_of(name: str) -> Any:
    """As `data=NAME` alone composes it; what is asked of a recording is open."""
    import hydra
    from hydra.core.global_hydra import GlobalHydra

    if GlobalHydra.instance().is_initialized():
        composed: DictConfig = hydra.compose("config", [f"data={name}"])
        OmegaConf.resolve(composed.state)
        return composed
    register_schema()
    with hydra.initialize_config_module("pirig.conf", version_base="1.3"):
        return _config_of(name)
