"""Every key of the schema with another value, and which made things become others by it: asked of the functions that name and
compare them."""

import dataclasses
import enum
import functools
from pathlib import Path

import numpy as np

from pirig.config.domains import Between, OneOf, leaves
from pirig.config.load import compose
from pirig.config.mixes import configs_of
from pirig.config.places import places_of
from pirig.config.schema import Config
from pirig.datasets import norm_stats
from pirig.datasets.make_stats import relation_of
from pirig.demos.maniskill import generate
from pirig.evaluation.target import result_settings, results_folder
from pirig.policies.build import model_of
from pirig.runs.identity import run_id, settings_id
from pirig.scenes.labelled import Drawn, digest_of
from pirig.training import warmed

TINY = ["weights=scratch", "size=tiny"]
BASES = {
    "planned": ["task=push_cube", "camera=close", "tower=keypoints", "losses=labels", "demos.labels=true",
                "demos.disturb=0.1", "demos.disturb_held=0.1", "tower.settings.channels=8", "losses.labels.settings.scale_m=0.1"],
    "mix": ["mix=push_pull", "tower=siglip"],
}  # fmt: skip
OTHERS = {
    "size.name": ["small"],
    "size.resize": [],  # there is one
    "tower.name": ["siglip", "keypoints"],
    "tower.settings.<name>": [16],
    "losses.<name>.settings.<name>": [0.2],
    "mix.sources.<name>.weight": [2.0],
}


@functools.cache
def base(name):
    return compose([*BASES[name], *TINY])


def keys():
    return [key for key, _, _ in leaves(Config)]


@functools.cache
def others(name, key):
    """Configs that differ from the base in this key alone; none where the base has no place for it."""
    kind, domains = next((kind, domains) for known, kind, domains in leaves(Config) if known == key)
    places = _places(base(name), key.split("."), [])
    if not places:
        return []
    path, now = places[0]
    many, one = isinstance(now, list), (now[0] if now else None) if isinstance(now, list) else now
    values = OTHERS[key] if key in OTHERS else _values(kind, domains, one)
    return [
        functools.partial(put, path=tuple(path), value=[value] if many else value) for value in values if value != one
    ]


def _values(kind, domains, now):
    names = next((domain.names for domain in domains if isinstance(domain, OneOf)), None)
    if names is not None:
        return [name for name in names if name != now]
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return [member for member in kind if member != now]
    if kind is bool:
        return [not now]
    if kind is str:
        return [f"{now or ''}x", f"{now or ''}y"]
    start = 1 if now is None else now
    tried = [kind(value) for value in (start + 1, start * 2, start / 2, start - 1, 1, 2, 0.5, 0)]
    return [
        value
        for value in dict.fromkeys(tried)
        if value != now and all(domain.holds(value) for domain in domains if isinstance(domain, Between))
    ]


def _places(node, parts, path):
    if not parts:
        return [(path, node)]
    first, *rest = parts
    if first == "<name>":
        return [place for name in node or {} for place in _places(node[name], rest, [*path, name])]
    return [] if node is None else _places(getattr(node, first), rest, [*path, first])


def put(node, path, value):
    first, *rest = path
    if isinstance(node, dict):
        return {**node, first: put(node[first], rest, value) if rest else value}
    return dataclasses.replace(node, **{first: put(getattr(node, first), rest, value) if rest else value})


@dataclasses.dataclass(frozen=True)
class Scenes:
    """In place of a set that was rendered."""

    digest: str
    count: int


def made(config):
    """What each made thing is known by."""
    places = places_of(config)
    tasks = [(one, places.sources.get(task, places)) for task, one in configs_of(config).items()]
    asked = [generate.asked_of(own.contract, generate.planned_by(one.task, one.demos), one.demos) for one, own in tasks]
    relation, warm_up = relation_of(config), config.tower.warm_up
    shown, still = config.scenes, np.zeros((1, 9), np.float32)
    drawn = Drawn(shown.first_seed, still, shown.joints_noise_rad, near_demos=shown.near_demos)
    scenes = [Scenes(digest_of(own.contract, drawn), config.scenes.count) for _, own in tasks]
    alike = list(warm_up.alike.values())
    learned = warmed.made_from(scenes, model_of(config, 64), warm_up, warm_up.labels, warm_up.turns, alike)
    told = result_settings(config, Path("100"), config.eval.max_steps or round(60 * config.eval.step_margin))
    data = [(str(own.data_set), own.contract.hash) for own in places.of_tasks]
    return {
        "demos": [str(own.demos) for _, own in tasks] + [one.digest for one in asked],
        "data-set": data,
        "norm-stats": [str(places.norm_stats), norm_stats.asked_of({}, {}, places.contract, relation).digest],
        "scenes": [one.digest for one in scenes],
        "tower": [warmed.name_of(learned)],
        "run": [run_id(config)],
        "settings": [settings_id(config)],
        "evaluation": [str(results_folder(Path("eval"), Path("100"), told))],
    }


def decided_by(name, key):
    """The made things that are others where this key is; None where no other value can be had here."""
    before = made(base(name))
    for change in others(name, key):
        try:
            after = made(change(base(name)))
        except (ValueError, KeyError, TypeError):
            continue  # a value that its room refuses
        return [thing for thing in before if after[thing] != before[thing]]
    return None
