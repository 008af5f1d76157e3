"""Several tasks in one training: from the names in conf/mix/NAME.yaml to a config for each task."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any

from pirig.config.keeping import IN_PLACE, DatasetConfig
from pirig.config.mapping import DataConfig
from pirig.config.schema import Config, MixSource

JOINT, PER_SOURCE = "joint", "per_source"  # values of mix.norm_stats


def refuse_merged_tasks(words: Sequence[str]) -> None:
    """Raises ValueError on `task=[a,b]`, which Hydra takes for one task made of both, and on a task beside a mix."""
    for word in words:
        if match := re.fullmatch(r"task=\[(.*)\]", word):
            names = [name.strip() for name in match[1].split(",") if name.strip()]
            raise ValueError(
                f"{word}: Hydra merges such a list into one task, in which the last name wins ({(names or ['none'])[-1]}); for "
                "one policy of several tasks give mix=NAME (a file conf/mix/NAME.yaml, as mix=push_pull), for a run of each -m "
                f"task={','.join(names)}."
            )
    groups = {word.split("=")[0]: word for word in words}
    if "task" in groups and groups.get("mix", "mix=null") not in ("mix=null", "mix="):
        raise ValueError(
            f"{groups['task']} with {groups['mix']}: a mix says itself which tasks it holds (conf/mix/); leave one out."
        )


def completed(
    plain: dict[str, Any],
    task_named: Callable[[str], dict[str, Any]],
    data_named: Callable[[str], dict[str, Any]],
) -> dict[str, Any]:
    """`mix` and `task` of a composed config that names a mix: its tasks and mappings in full, and in place of the one task what
    holds for all of them.

    `task_named` reads conf/task/NAME.yaml, `data_named` conf/data/NAME.yaml; what is there already (of a saved config) is not
    read again.
    """
    mix, simulated = dict(plain["mix"]), plain["robot"]["simulated"]
    sources = {name: dict(source or {}) for name, source in mix["sources"].items()}
    for name, source in sources.items():
        source["task"] = source.get("task") or (
            task_named(name) if simulated else {**task_named("recorded"), "name": name}
        )
        if source.get("path") and not source.get("data"):
            source["data"] = data_named(source["mapping"]) if source.get("mapping") else dict(plain["data"])
    return {
        "mix": {**mix, "sources": sources},
        "task": _in_common(mix["name"], [source["task"] for source in sources.values()]),
    }


def _in_common(name: str, tasks: list[dict[str, Any]]) -> dict[str, Any]:
    """The first one's, under the mix's name; its goal is visible where all are, its episodes as short as the shortest."""
    if not tasks:
        raise ValueError(f"mix={name}: it names no task; sources: {{push_cube: {{weight: 1}}, ...}}")
    shortest = min(task.get("min_episode_steps", 0) for task in tasks)
    visible = all(task["goal_visible"] for task in tasks)
    turns = {thing: count for task in reversed(tasks) for thing, count in task.get("turns", {}).items()}
    unseen = sorted({thing for task in tasks for thing in task.get("unseen", [])})
    alike = {look: things for task in reversed(tasks) for look, things in task.get("alike", {}).items()}
    shared = {
        "goal_visible": visible,
        "min_episode_steps": shortest,
        "turns": turns,
        "unseen": unseen,
        "alike": alike,
    }
    return {**tasks[0], "name": name, **shared}


def configs_of(config: Config) -> dict[str, Config]:
    """A config for each task of a mix, as that task alone would have it; of one task {"": config}."""
    if config.mix is None:
        return {"": config}
    return {name: _of_source(config, source) for name, source in config.mix.sources.items() if source.task}


def _of_source(config: Config, source: MixSource) -> Config:
    assert source.task is not None
    own = dataclasses.replace(config, task=source.task, mix=None)
    if not source.path:
        kept = config.dataset.format  # in place are the recordings alone
        kept = DatasetConfig().format if kept == IN_PLACE else kept
        return dataclasses.replace(own, data=DataConfig(), dataset=dataclasses.replace(config.dataset, format=kept))
    entries = config.camera.entries if config.robot.simulated or not source.mapping else {}
    return dataclasses.replace(
        own,
        demos=dataclasses.replace(config.demos, path=source.path),
        data=source.data or config.data,
        camera=dataclasses.replace(config.camera, entries=source.cameras or entries),
    )


def shares_of(config: Config) -> dict[str, float]:
    """By task, its share of the samples that train; they add up to 1. Of one task {"": 1}."""
    if config.mix is None:
        return {"": 1.0}
    whole = sum(source.weight for source in config.mix.sources.values())
    return {name: source.weight / whole for name, source in config.mix.sources.items()}


def mix_is_whole(config: Config) -> str | None:
    """The rule of a mix that `checks` asks."""
    if config.mix is None:
        return None
    mix, wrong = config.mix, []
    for name, source in mix.sources.items():
        if not source.path and not config.robot.simulated:
            wrong.append(
                f"robot={config.robot.name}: its source {name} has no recorded data set; give mix.sources.{name}.path=FOLDER"
            )
        if source.path and not (source.data and source.data.name):
            wrong.append(
                f"mix.sources.{name}.path={source.path}: nothing says what its columns are; give "
                f"mix.sources.{name}.mapping=NAME (conf/data/), or data=NAME for all"
            )
        if "/" in name:
            wrong.append(f"a source called {name}: expected a name without /")
    if config.demos.path:
        wrong.append(
            f"demos.path={config.demos.path}: it names one task's demos; leave it out, each task's are planned; "
            "recorded ones are named by mix.sources.<name>.path"
        )
    if mix.norm_stats not in (JOINT, PER_SOURCE):
        wrong.append(f"mix.norm_stats={mix.norm_stats}: expected {JOINT} or {PER_SOURCE}")
    tasks = [source.task for source in mix.sources.values() if source.task]
    told = [said for task in tasks for said in ([task.prompt] if task.prompt else task.prompts)]
    if mix.norm_stats == PER_SOURCE and len(set(told)) < len(told):
        wrong.append(
            f"mix.norm_stats={PER_SOURCE}: two of its tasks have one prompt, by which a request says whose statistics it needs"
        )
    if config.trainer != "pirig":
        wrong.append(f"trainer={config.trainer}: only trainer=pirig draws from several tasks")
    return "\n".join(f"mix={mix.name} with {text}." for text in wrong) or None
