"""From Hydra's DictConfig to the typed config, once. Nothing below this file sees a DictConfig."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf

from pirig.config.checks import ConfigError, check
from pirig.config.schema import Config


def register_schema() -> None:
    """Makes `- schema` in `conf/config.yaml` the typed root."""
    from hydra.core.config_store import ConfigStore

    ConfigStore.instance().store(name="schema", node=Config)


def typed(composed: DictConfig) -> Config:
    """Resolves, checks and freezes a composed config. Raises ConfigError, naming keys, before anything starts."""
    missing = sorted(OmegaConf.missing_keys(composed))
    if missing:
        raise ConfigError(f"no value for {', '.join(missing)}: give each on the command line, as in {missing[0]}=...")
    unknown = _unknown_keys(OmegaConf.to_container(composed), OmegaConf.to_container(OmegaConf.structured(Config)), "")
    if unknown:
        raise ConfigError(f"unknown key {', '.join(unknown)}: `pirig train --cfg job` lists the known ones.")
    config = OmegaConf.to_object(composed)
    assert isinstance(config, Config)
    check(config)
    return config


def _unknown_keys(given: Any, known: Any, prefix: str) -> list[str]:
    found: list[str] = []
    for key, value in given.items():
        if key not in known:
            found.append(prefix + str(key))
        elif isinstance(value, dict) and isinstance(known[key], dict) and known[key]:
            found += _unknown_keys(value, known[key], f"{prefix}{key}.")
    return found


def compose(overrides: list[str]) -> Config:
    """The typed config of a list of overrides, for tests and scripts (the CLI goes through Hydra's own main)."""
    import hydra

    from pirig.config.command_line import rewrite

    register_schema()
    with hydra.initialize_config_module("pirig.conf", version_base="1.3"):
        return typed(hydra.compose("config", rewrite(overrides)))
