"""The points of a sweep as typed configs, in milliseconds each."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, open_dict

from pirig.config.load import typed
from pirig.config.mixes import configs_of
from pirig.config.places import Places, places_of
from pirig.config.schema import Config
from pirig.runs.identity import named_by_id
from pirig.sweeps.contradictions import explain

Compose = Callable[[Sequence[str]], DictConfig]


@dataclass(frozen=True)
class Point:
    config: Config
    overrides: tuple[str, ...]

    @cached_property
    def places(self) -> Places:
        return places_of(self.config)


class Composer:
    """Composes like Hydra, which reads every YAML again for each point: here once per choice of groups."""

    def __init__(self, loader: Any, config: DictConfig):
        from hydra.core.override_parser.overrides_parser import OverridesParser

        self.loader, self.master = loader, config
        self.parser = OverridesParser.create(config_loader=loader)
        self.composed: dict[tuple[str, ...], DictConfig] = {}

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        from hydra._internal.config_loader_impl import ConfigLoaderImpl

        parsed = self.parser.parse_overrides(list(overrides))
        groups = [item for item in parsed if self._is_group(item)]
        key = tuple(str(item.input_line) for item in groups)
        if key not in self.composed:
            composed = self.loader.load_sweep_config(self.master, list(key))
            with open_dict(composed):
                del composed["hydra"]
            self.composed[key] = composed
        config = copy.deepcopy(self.composed[key])
        ConfigLoaderImpl._apply_overrides_to_config([item for item in parsed if item not in groups], config)
        return config

    def _is_group(self, override: Any) -> bool:
        return override.package is not None or self.loader.repository.group_exists(override.key_or_group)


def read_points(overrides: Sequence[Sequence[str]], compose: Compose) -> list[Point]:
    """Every point, checked; runs that the user did not name are named by their ids.

    Raises ValueError that names the values that contradict each other, or the points that would write one run.
    """
    points: list[Point] = []
    broken: dict[int, str] = {}
    for number, words in enumerate(overrides):
        try:
            config = typed(compose(words))
        except ValueError as error:
            broken[number] = str(error)
            continue
        named = any(word.startswith("run.name=") for word in words)
        points.append(Point(config if named else named_by_id(config), tuple(words)))
    if broken:
        raise ValueError(explain([tuple(words) for words in overrides], broken))
    points = _distinct(points)
    _require_own_data(points)
    return points


def _require_own_data(points: list[Point]) -> None:
    """Raises ValueError where the data of two points would lie in one folder and be made from different things."""
    by_folder: dict[str, tuple[str, dict[str, Any]]] = {}
    for point in points:
        for of_task, own in zip(configs_of(point.config).values(), point.places.of_tasks, strict=True):
            words, asked = " ".join(point.overrides), _data_asked(of_task)
            others, other = by_folder.setdefault(str(own.data), (words, asked))
            changed = [f"{key}: {other[key]!r} and {asked[key]!r}" for key in asked if asked[key] != other[key]]
            if changed:
                raise ValueError(
                    f"{others} and {words} would both make {own.data}, from different demos ({'; '.join(changed)}). Start them "
                    "one at a time, each with a run.root=... of its own, or give the files different names."
                )


def _data_asked(config: Config) -> dict[str, Any]:
    """What decides a data set and is not in the name of its folder."""
    demos = config.demos
    path = str(Path(demos.path).resolve()) if demos.path else None
    return {
        "demos.path": path,
        "demos.count": demos.count if config.robot.simulated else None,
        "task.solver": config.task.solver if not path else None,
        "task.hold_steps": config.task.hold_steps if not path else None,
    }


def _distinct(points: list[Point]) -> list[Point]:
    """Raises ValueError where two points differ but have one folder; equal points are kept once."""
    by_folder: dict[str, Point] = {}
    for point in points:
        other = by_folder.setdefault(str(point.places.run), point)
        if other is not point and other.config != point.config:
            raise ValueError(
                f"{' '.join(other.overrides)} and {' '.join(point.overrides)} would both write {point.places.run}. "
                "Leave run.name out (each run is then named by its id), or let it hold what differs: "
                "'run.name=${task.name}-${train.seed}'. Points that differ in evaluation only are one run: "
                "evaluate it with `pirig eval RUN_FOLDER ...`."
            )
    return list(by_folder.values())
