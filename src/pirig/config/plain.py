"""A typed config as plain values, for files and for comparing."""

from __future__ import annotations

import dataclasses
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Any

from pirig.config.schema import Config
from pirig.files.records import REMEDY


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


def require_sections(plain: Any, path: Path) -> dict[str, Any]:
    """What a run's config.yaml holds, plain. Raises ValueError where it is none: empty, or a value where keys belong."""
    if not isinstance(plain, dict) or not plain:
        raise ValueError(f"{path}: no settings in it; expected those of a run; {REMEDY}.")
    for field in dataclasses.fields(Config):
        value = plain.get(field.name)
        if dataclasses.is_dataclass(field.default_factory) and field.name in plain and not isinstance(value, dict):
            raise ValueError(f"{path}: {field.name} is {value!r}; expected keys below it; {REMEDY}.")
    return plain
