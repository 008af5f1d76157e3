"""What is to be written: which episodes of which data sets, in which form, under which names; asked before it is."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pirig.datasets.lerobot.source import LeRobotSource
from pirig.datasets.lerobot.v21 import VERSION as V21
from pirig.datasets.lerobot.v30 import VERSION as V30
from pirig.datasets.pictures import film_write
from pirig.datasets.remake.episode import Box, Column
from pirig.foreign.lerobot import OWN_COLUMNS, PICTURES, EpisodeMeta
from pirig.foreign.text import read_json

INDEX = {name: {"dtype": "int64", "shape": [1], "names": None} for name in OWN_COLUMNS} | {
    "timestamp": {"dtype": "float32", "shape": [1], "names": None}
}


@dataclass(frozen=True)
class Edit:
    """By a feature's old name: its new one, whether it goes, the part of its pictures that stays."""

    renamed: Mapping[str, str] = field(default_factory=dict)
    dropped: Sequence[str] = ()
    crops: Mapping[str, Box] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.renamed or self.dropped or self.crops)


@dataclass(frozen=True)
class Kept:
    """How the result is kept. None: as the (first) source is; `codec` "" is pictures without loss."""

    version: str | None = None
    codec: str | None = None


@dataclass(frozen=True)
class Chosen:
    """An episode of the result: one of a source's."""

    source: LeRobotSource
    episode: EpisodeMeta


class Plan:
    """What is to be written. Raises ValueError, naming both values, where sources do not go together or an edit does not fit."""

    def __init__(self, chosen: Sequence[Chosen], *, kept: Kept = Kept(), edit: Edit = Edit(), all_tasks: bool = False):
        self.chosen, self.kept, self.edit = list(chosen), kept, edit
        self.sources = list({id(one.source): one.source for one in chosen}.values())
        self.first = self.sources[0]
        self.version = kept.version or (V30 if self.first.info.is_v3 else V21)
        self.all_tasks = all_tasks
        for source in self.sources[1:]:
            _require_alike(self.first, source)
        _require_edit(self.first, edit)
        self.columns = self._columns()
        for column in self.columns:
            if column.is_film and not (column.was_film and column.crop is None):
                film_write.require_even(column.old, *column.size)

    @cached_property
    def features(self) -> dict[str, dict[str, Any]]:
        """As info.json of the result has them; what is said of a film is completed while it is written."""
        table = {column.new: dict(column.feature) for column in self.columns}
        return table | {name: dict(feature) for name, feature in INDEX.items() if name not in table}

    @cached_property
    def tasks(self) -> list[str]:
        """The sentences of the result, in the order of the sources' tables."""
        known = dict.fromkeys(sentence for source in self.sources for sentence in source.meta.tasks.values())
        whole = [*known, *(sentence for sentence in self.used_tasks if sentence not in known)]
        return whole if self.all_tasks and known else [sentence for sentence in whole if sentence in self.used_tasks]

    @cached_property
    def used_tasks(self) -> list[str]:
        """What the chosen episodes are told, each once."""
        return list(dict.fromkeys(sentence for one in self.chosen for sentence in sentences_of(one)))

    def _columns(self) -> list[Column]:
        raw = read_json(self.first.meta.info_file)["features"]
        columns = []
        for name, feature in self.first.features.items():
            if name in self.edit.dropped:
                continue
            was_film = feature.dtype == "video"
            is_film = was_film if self.kept.codec is None else bool(self.kept.codec)
            told = dict(raw[name])
            size = (0, 0)
            crop = self.edit.crops.get(name)
            if feature.dtype in PICTURES:
                size = self.first.meta.image_size(name) or size
                told["dtype"] = "video" if is_film else "image"
                if crop:
                    told["shape"] = crop.shape(feature.shape, size)
                    size = crop.width, crop.height
                if not is_film:
                    told = {key: value for key, value in told.items() if key not in ("info", "video_info")}
            is_film = is_film and feature.dtype in PICTURES
            columns.append(Column(name, self.edit.renamed.get(name, name), told, was_film, is_film, size, crop))
        return columns

    def examine(self) -> list[str]:
        """Asks every chosen episode of every source, and the columns of numbers of their features; returns notes.

        Raises ValueError for the first fault.
        """
        notes: list[str] = []
        for source in self.sources:
            used = {one.episode.index for one in self.chosen if one.source is source}
            left_out = [episode.index for episode in source.episodes if episode.index not in used]
            shown = [column.old for column in self.columns if column.size != (0, 0)]
            notes += source.examine(left_out, shown)
            for name in self._numbers(source):
                for one in self.chosen:
                    if one.source is source:
                        source.numbers(one.episode, [name])
        return notes

    def _numbers(self, source: LeRobotSource) -> list[str]:
        kept = {column.old for column in self.columns}
        return [
            name
            for name in source.number_columns()
            if name in kept and len(source.features[name].shape) == 1 and source.features[name].dtype != "bool"
        ]

    @property
    def is_exact(self) -> bool:
        """Whether every row and picture stays as it is in the one source, all its episodes in order."""
        whole = len(self.sources) == 1 and [one.episode for one in self.chosen] == self.first.episodes
        return whole and not self.edit and all(column.was_film == column.is_film for column in self.columns)


def sentences_of(one: Chosen) -> list[str]:
    """What an episode is told, each once, in the order of its frames."""
    rows, tasks = one.source.index.of(one.episode.index), one.source.meta.tasks
    if rows.task_index is None or not tasks:
        return list(one.episode.tasks[:1]) or [""]
    return list(dict.fromkeys(tasks[int(number)] for number in rows.task_index))


def _require_alike(first: LeRobotSource, other: LeRobotSource) -> None:
    """Raises ValueError with both values where two sources do not make one data set."""
    both = f"{first.folder} and {other.folder}"
    if first.fps != other.fps:
        raise ValueError(f"{both}: {first.fps:g} and {other.fps:g} frames a second; resample one of them first.")
    mine, theirs = str(first.info.robot_type or ""), str(other.info.robot_type or "")
    if mine != theirs:
        raise ValueError(
            f"{both}: robot_type {mine!r} and {theirs!r} in meta/info.json; expected one robot in a data set."
        )
    for name in dict.fromkeys([*first.features, *other.features]):
        sides = [_seen(source, name) for source in (first, other)]
        if sides[0] != sides[1]:
            raise ValueError(
                f"{both}: {name} is {sides[0]} and {sides[1]}; expected the same features, in the same storage: `pirig dataset "
                "edit` renames and drops, `pirig dataset convert` changes the storage."
            )


def _seen(source: LeRobotSource, name: str) -> str:
    feature = source.features.get(name)
    return f"{feature.dtype} {list(feature.shape)}" if feature else "absent"


def _require_edit(source: LeRobotSource, edit: Edit) -> None:
    """Raises ValueError where an edit names what is not there, or makes two features one."""
    has = [name for name in source.features if name not in OWN_COLUMNS]
    for option, names in (("--rename", edit.renamed), ("--drop", edit.dropped), ("--crop", edit.crops)):
        for name in names:
            if name not in has:
                raise ValueError(f"{option} {name}: {source.folder} has no such feature; it has {', '.join(has)}.")
    left = [edit.renamed.get(name, name) for name in has if name not in edit.dropped]
    twice = sorted({name for name in left if left.count(name) > 1 or name in OWN_COLUMNS})
    if twice:
        raise ValueError(f"--rename: two features would be called {twice[0]}; choose another name.")
    bad = [name for name in edit.renamed.values() if not name or "/" in name or name != name.strip()]
    if bad:
        raise ValueError(f"--rename: {bad[0]!r} is no name of a feature; expected one without a slash, such as action.")
    if not left:
        raise ValueError("--drop: nothing would be left of the data set.")
    for name, box in edit.crops.items():
        size = source.meta.image_size(name)
        if size is None:
            raise ValueError(
                f"--crop {name}: it holds no pictures; those that do: {', '.join(source.meta.image_columns())}."
            )
        box.require_inside(name, size)


def chosen_of(source: LeRobotSource, episodes: Iterable[EpisodeMeta] | None = None) -> list[Chosen]:
    return [Chosen(source, episode) for episode in (source.episodes if episodes is None else episodes)]


def digest_text(plan: Plan, digests: Mapping[Path, str]) -> str:
    """What decides the content of the result, as text: sources by their digests, episodes, edit and codec."""
    runs = [
        [digests[source.folder], [one.episode.index for one in group]]
        for source, group in itertools.groupby(plan.chosen, lambda one: one.source)
    ]
    crops = {name: list(box) for name, box in plan.edit.crops.items()}
    said = [runs, dict(plan.edit.renamed), list(plan.edit.dropped), crops, plan.kept.codec]
    return json.dumps(said, sort_keys=True)
