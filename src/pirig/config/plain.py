"""A typed config as plain values, for files and for comparing."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import Any

from pirig.config.schema import Config


def as_plain(config: Config) -> dict[str, Any]:
    """The config as nested plain dicts (enums by value), ready for YAML or JSON."""

    def plain(items: list[tuple[str, Any]]) -> dict[str, Any]:
        return {key: value.value if isinstance(value, StrEnum) else value for key, value in items}

    return asdict(config, dict_factory=plain)


def flat(plain: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"train": {"steps": 3}} -> {"train.steps": 3}; lists are values."""
    leaves: dict[str, Any] = {}
    for key, value in plain.items():
        if isinstance(value, dict):
            leaves |= flat(value, f"{prefix}{key}.")
        else:
            leaves[prefix + key] = value
    return leaves
