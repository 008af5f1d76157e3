"""Labelled scenes of one or several sets as one: those that are learned from, drawn at random, and those that are held out."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from pirig.config.names import standing
from pirig.datasets.joined import JoinedFrames
from pirig.scenes.labelled import METRES, LabelledScenes


class SceneRows:
    """Of the cameras that stand still. `rows` and `held_out` are numbers of scenes, split by `seed` alone; at most a fifth of
    them is held out. `places` f32 [N, things, cameras, 2]: where the pictures show each label in metres, NaN where not known."""

    def __init__(self, sets: Sequence[LabelledScenes], labels: Collection[str], *, held_out: int, seed: int) -> None:
        roles = standing(sets[0].roles)
        frames = {role: [part for scenes in sets for part in _whole(scenes, role)] for role in roles}
        self.images = {role: JoinedFrames(parts) for role, parts in frames.items()}
        self.labels = {name: _joined(sets, name) for name in labels}
        points = [name for name in labels if name.endswith(METRES)]
        shape = (len(points), len(roles), 2)
        self.places = np.concatenate([_places(scenes, points, shape) for scenes in sets])
        self.seed = seed
        order = np.random.default_rng([seed, 0]).permutation(sum(scenes.count for scenes in sets))
        count = min(held_out, len(order) // 5)
        self.held_out, self.rows = np.sort(order[:count]), order[count:]

    def draw(self, count: int, *number: int) -> np.ndarray:
        """Scenes [count] to learn from, ascending: those of draw `number`, the same whenever they are asked for."""
        draws = np.random.default_rng([self.seed, 1, *number])
        return np.sort(draws.choice(self.rows, count, replace=len(self.rows) < count))

    def gather(self, rows: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Images u8 [B, px, px, 3] by role, labels f32 [B, k] by name."""
        images = {role: np.asarray(frames[rows]) for role, frames in self.images.items()}
        return images, {name: values[rows] for name, values in self.labels.items()}


def _whole(scenes: LabelledScenes, role: str) -> list[np.ndarray]:
    """The shards of a role, the last one as long as the set is."""
    if role not in scenes.images:
        raise ValueError(f"{scenes.folder} has no camera {role}; it has {', '.join(scenes.roles)}")
    parts, left = [], scenes.count
    for part in scenes.images[role]:
        parts.append(part[:left])
        left -= len(part)
    return parts


def _places(scenes: LabelledScenes, points: list[str], shape: tuple[int, ...]) -> np.ndarray:
    places = np.full((scenes.count, *shape), np.nan, np.float32)
    for number, name in enumerate(points):
        if name in scenes.places:
            places[:, number] = scenes.places[name]
    return places


def _joined(sets: Sequence[LabelledScenes], name: str) -> np.ndarray:
    """f32 [N, k]; NaN where a task has no such label: the loss passes over it."""
    width = next((scenes.labels[name].shape[1] for scenes in sets if name in scenes.labels), None)
    if width is None:
        raise ValueError(
            f"{sets[0].folder}: the scenes show no {name}; they show {', '.join(sorted(sets[0].labels))}; leave it out of what "
            "the losses learn (losses.NAME.labels), or choose train.scenes_per_batch=0"
        )
    return np.concatenate(
        [scenes.labels.get(name, np.full((scenes.count, width), np.nan, np.float32)) for scenes in sets]
    )
