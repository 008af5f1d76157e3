"""From Hydra's DictConfig to the typed config, once. Nothing below this file sees a DictConfig."""

from __future__ import annotations

import dataclasses
import functools
import os
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from pirig.config import assignments, mistakes, mixes, texts
from pirig.config.aliases import OPENED, current, move_words, refuse_retired, require_agreement, take_retired
from pirig.config.arguments import meant_run, nearest_folder
from pirig.config.checks import ConfigError, check
from pirig.config.places import places_of, run_folder
from pirig.config.plain import require_sections
from pirig.config.recorded import completed
from pirig.config.schema import Config
from pirig.files import identity

LATER = ("improve", "rollouts")  # groups that a run which is there may still choose


def register_schema() -> None:
    """Makes `- schema` in `conf/config.yaml` the typed root; unknown keys of the opened groups are for `typed` to refuse."""
    from hydra.core.config_store import ConfigStore

    from pirig.config import sources

    sources.use()
    node = OmegaConf.structured(Config)
    for group in OPENED:
        OmegaConf.set_struct(node[group], False)
    ConfigStore.instance().store(name="schema", node=node)


def typed(composed: DictConfig) -> Config:
    """Resolves, checks and freezes a composed config. Raises ConfigError, naming keys, before anything starts."""
    said = _take_retired(composed)
    _complete_mix(composed)
    missing = sorted(OmegaConf.missing_keys(composed))
    if missing:
        raise ConfigError(f"no value for {', '.join(missing)}: give each on the command line, as in {missing[0]}=...")
    unknown = _unknown_keys(OmegaConf.to_container(composed), _known(), "")
    if unknown:
        raise ConfigError("\n".join(mistakes.unknown_key(key) for key in unknown))
    config = OmegaConf.to_object(composed)
    assert isinstance(config, Config)
    require_agreement(said, config)
    check(config)
    whole = completed(config)
    if whole is not config:
        check(whole)  # a rate and sizes that a recording says meet the rules, too
    return whole


def _complete_mix(composed: DictConfig) -> None:
    """Puts the tasks of a mix in place of their names."""
    if composed.mix is None:
        return
    plain = OmegaConf.to_container(composed)
    with open_dict(composed):
        for key, value in mixes.completed(plain, _task_named, _data_named).items():  # type: ignore[arg-type]
            OmegaConf.update(composed, key, value, merge=True)


def _task_named(name: str) -> dict[str, Any]:
    """conf/task/NAME.yaml as a config that chooses it has it."""
    return _named("task", name)


def _data_named(name: str) -> dict[str, Any]:
    """What conf/data/NAME.yaml says of columns."""
    return _named("data", name)


def _named(group: str, name: str) -> dict[str, Any]:
    import hydra
    from hydra.core.global_hydra import GlobalHydra

    if GlobalHydra.instance().is_initialized():
        words = [*_folders_of_users(), f"{group}={name}"]
        return OmegaConf.to_container(hydra.compose("config", words)[group])  # type: ignore[return-value]
    register_schema()
    with hydra.initialize_config_module("pirig.conf", version_base="1.3"):
        return _named(group, name)


_searched: list[str] = []  # hydra.searchpath=... of `compose`, while it composes


def _folders_of_users() -> list[str]:
    """The word that names them, where options of a user's own may lie (--config-dir is known to Hydra already)."""
    from hydra.core.hydra_config import HydraConfig

    if _searched or not HydraConfig.initialized():
        return list(_searched)
    folders = list(HydraConfig.get().searchpath)
    return [f"hydra.searchpath=[{','.join(map(str, folders))}]"] if folders else []


def saved_config(path: Path) -> DictConfig:
    """A run's config.yaml. Raises ConfigError, naming the file, where it is torn or none of a run."""
    try:
        saved = texts.load(path)
        require_sections(OmegaConf.to_container(saved), path)
        return loaded(saved)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{path}: {mistakes.sentence(error)}") from error
    except ValueError as error:
        raise ConfigError(str(error)) from error


def plain_of_run(folder: Path) -> dict[str, Any]:
    """Its settings as they stand in its config.yaml."""
    path = folder / "config.yaml"
    return require_sections(OmegaConf.to_container(texts.load(path)), path)


def loaded(saved: Any) -> DictConfig:
    """A config that was saved, by this version or an older one: keys that are younger than it have their defaults."""
    plain = OmegaConf.to_container(saved) if OmegaConf.is_config(saved) else saved
    merged = OmegaConf.merge(OmegaConf.structured(Config), current(plain))  # type: ignore[arg-type]
    assert isinstance(merged, DictConfig)
    return merged


def _take_retired(composed: DictConfig) -> dict[str, Any]:
    """What a user's YAML says under keys of an older version; they are taken out of the groups that have them."""
    said = take_retired(OmegaConf.to_container(composed))  # type: ignore[arg-type]
    with open_dict(composed):
        for dotted in said:
            group, key = dotted.split(".")
            del composed[group][key]
    return said


@functools.cache
def _known() -> Any:
    return OmegaConf.to_container(OmegaConf.structured(Config))


def _unknown_keys(config: Any, known: Any, prefix: str) -> list[str]:
    unknown: list[str] = []
    for key, value in config.items():
        if key not in known:
            unknown.append(prefix + str(key))
        elif isinstance(value, dict) and isinstance(known[key], dict) and known[key]:
            unknown += _unknown_keys(value, known[key], f"{prefix}{key}.")
    return unknown


def of_run(folder: Path, overrides: list[str]) -> Config:
    """The config that a run folder was made with, changed by `key=value` overrides (groups were resolved back then; only those of
    `LATER` come later than a run).

    Raises ConfigError where the folder holds no config, or a key is unknown.
    """
    path = folder / "config.yaml"
    if not path.is_file():
        nearest = "" if folder.is_dir() else nearest_folder(str(folder))
        what = "expected a run folder with a config.yaml, found none" if folder.is_dir() else "there is no such folder"
        raise ConfigError(f"{folder}: {what}" + (f"; did you mean {nearest}?" if nearest else meant_run(folder)))
    refuse_retired(overrides)
    overrides = move_words(overrides)
    saved = saved_config(path)
    later = {word.partition("=")[0]: word for word in overrides if word.partition("=")[0] in LATER}
    overrides = [word for word in overrides if word.partition("=")[0] not in LATER]
    groups = [word for word in overrides if "." not in word.split("=")[0] and "=" in word and _is_group(saved, word)]
    if groups:
        raise ConfigError(
            f"{groups[0]}: a finished run keeps the groups that made it; change single keys (eval.episodes=100), "
            "or give the whole configuration instead of the folder"
        )
    try:
        chosen = {group: _named(group, word.partition("=")[2]) for group, word in later.items()}
        merged = OmegaConf.merge(saved, _here(folder), chosen, assignments.parsed(overrides))
    except OmegaConfBaseException as error:
        raise ConfigError(mistakes.sentence(error)) from error
    assert isinstance(merged, DictConfig)
    config = typed(merged)
    return config if _has_data(config) else _with_its_data(config, saved.run.root, folder)


def _here(folder: Path) -> dict[str, Any]:
    """A run lies where it lies, however its folder is spelled."""
    if len(folder.parts) < 3 or ".." in folder.parts:
        folder = Path(os.path.abspath(folder))
    return {"run": {"root": str(folder.parent.parent), "experiment": folder.parent.name, "name": folder.name}}


def _has_data(config: Config) -> bool:
    return all(own.data.is_dir() for own in places_of(config).of_tasks)


def _with_its_data(config: Config, root: str, folder: Path) -> Config:
    """A run that was moved away from its data: where it was made, or where its record says that its data set lies."""
    record = identity.load(folder / identity.FILE_NAME)
    noted = (
        [Path(place).parents[2] for name, place in record.places.items() if name.startswith("data set")]
        if record
        else []
    )
    run, home = config.run, str(run_folder(config).absolute().parent)
    for candidate in (Path(root), *noted):
        # an absolute experiment is taken as it is: the run stays where it lies
        moved = dataclasses.replace(config, run=dataclasses.replace(run, root=str(candidate), experiment=home))
        if _has_data(moved):
            return moved
    return config


def _is_group(saved: Any, word: str) -> bool:
    return OmegaConf.is_dict(saved.get(word.split("=")[0]))


def compose(overrides: list[str]) -> Config:
    """The typed config of a list of overrides, for tests and scripts (the CLI goes through Hydra's own main)."""
    import hydra

    from pirig.config.command_line import rewrite

    register_schema()
    with hydra.initialize_config_module("pirig.conf", version_base="1.3"):
        _searched[:] = [word for word in overrides if word.startswith("hydra.searchpath=")]
        try:
            return typed(hydra.compose("config", rewrite(overrides)))
        finally:
            _searched.clear()
