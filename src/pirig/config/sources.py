"""YAML as users wrote it, for older versions too: changed while Hydra reads it, so that what is merged later still wins.

A key that moved is put in its new place, and a number in a defaults list (`- override /horizon: 12`) becomes an option's name.
"""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.core_plugins.importlib_resources_config_source import ImportlibResourcesConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf

from pirig.config import texts
from pirig.config.aliases import move_keys
from pirig.config.options import NUMBERED, node, option


class _FileSource(FileConfigSource):
    def load_config(self, config_path: str) -> ConfigResult:
        loaded = super().load_config(config_path)
        return _renewed(loaded, config_path, Path(self.path) / self._normalize_file_name(config_path))


class _PackageSource(ImportlibResourcesConfigSource):
    """Of conf/ with an option for each number: a file of that name goes first."""

    def is_config(self, config_path: str) -> bool:
        return super().is_config(config_path) or self._number(config_path) is not None

    def load_config(self, config_path: str) -> ConfigResult:
        if super().is_config(config_path):
            file = resources.files(self.path) / self._normalize_file_name(config_path)
            return _renewed(super().load_config(config_path), config_path, file)
        return ConfigResult(
            self.provider, self.full_path(), OmegaConf.create(self._number(config_path) or {}), header={"package": None}
        )

    def _number(self, config_path: str) -> dict[str, int] | None:
        return node(config_path) if self.path == "pirig.conf" else None


def use() -> None:
    """From now on Hydra reads its files through these; its own registry takes no second class for a scheme."""
    Plugins.instance()  # registers Hydra's own first
    SourcesRegistry.instance().types.update(file=_FileSource, pkg=_PackageSource)


def _renewed(loaded: ConfigResult, config_path: str, file: Any) -> ConfigResult:
    """`file`: what was read, as a path that can be opened."""
    config = loaded.config
    if isinstance(config, DictConfig):
        with file.open(encoding="utf-8") as text:
            texts.keep(config, _package(config_path, loaded.header), text)
    if isinstance(config, DictConfig) and {"train", "demos", "defaults"} & set(config):
        plain = move_keys(OmegaConf.to_container(config))  # type: ignore[arg-type]
        if isinstance(plain.get("defaults"), list):
            plain["defaults"] = [_item(item) for item in plain["defaults"]]
        loaded.config = OmegaConf.create(plain)
    return loaded


def _package(config_path: str, header: dict[str, str | None]) -> str:
    """Where the file's keys belong: "task." of task/push_cube, "" of one that says `# @package _global_`."""
    package = header.get("package") or "_group_"
    group = config_path.rpartition("/")[0].replace("/", ".")
    name = {"_group_": group, "_global_": ""}.get(package, package)
    return f"{name}." if name else ""


def _item(item: Any) -> Any:
    """One line of a defaults list."""
    if not isinstance(item, dict) or len(item) != 1:
        return item
    [(key, value)] = item.items()
    match = re.fullmatch(rf"(?:override )?/?({'|'.join(NUMBERED)})", str(key))
    return {key: option(match[1], str(value))} if match and value is not None else item
