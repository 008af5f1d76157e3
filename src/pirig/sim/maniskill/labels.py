"""Where a task's objects are, found from its scene: no table, so that a task of one's own has labels too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from pirig.contract import Point
from pirig.sim.door import Labels
from pirig.sim.maniskill.batches import batched


def require_points(base: Any, points: Sequence[Point]) -> None:
    """Raises ValueError where the scene has no such pose, or no such object, or an object of a point's name."""
    objects = [name for name, _ in objects_of(base)]
    for point in points:
        where = f"task.points.{point.name}"
        if point.name in objects:
            raise ValueError(f"{where}: an object has this name, and labels of its own; choose another")
        if point.part_of not in objects:
            raise ValueError(f"{where}.part_of={point.part_of}: the scene has {', '.join(sorted(objects))}")
        if not hasattr(getattr(base, point.pose, None), "raw_pose"):
            poses = [known for known in dir(type(base)) if known.endswith("_pose")]
            raise ValueError(
                f"{where}.pose={point.pose}: no pose of {type(base).__name__}, which has {', '.join(poses)}"
            )


def object_poses(base: Any, points: Sequence[Point] = ()) -> Labels:
    """Of every actor and articulation that ManiSkill keeps in a scene's state, but for furniture and robots: world frame.

    "<name>_position_m" f32 [num_envs, 3] and "<name>_quat_wxyz" f32 [num_envs, 4], sorted by name. Goal sites are objects. Of
    an articulation (a cabinet, a tap) it is the root, and "<name>_<link>_..." every link that a joint moves (a drawer, the tap's
    switch). `points` are labelled likewise.
    """
    poses: Labels = {}
    found = [(name, thing.pose) for name, thing in objects_of(base)]
    found += [(point.name, getattr(base, point.pose)) for point in points]
    for name, there in found:
        pose = batched(there.raw_pose).astype(np.float32)
        poses[f"{name}_position_m"], poses[f"{name}_quat_wxyz"] = pose[:, :3], pose[:, 3:]
    return dict(sorted(poses.items()))


def in_sight(base: Any, sensors: Iterable[str], points: Sequence[Point] = ()) -> dict[str, float]:
    """Of each label of `object_poses`, of a base with one scene: the share of pixels that show its thing in what these sensors
    rendered last, in the one that shows it best. Nothing is rendered for it."""
    wanted = {"rgb": False, "depth": False, "position": False, "segmentation": True}
    pictures = [batched(base.scene.sensors[sensor].get_obs(**wanted)["segmentation"]) for sensor in sensors]
    shares: dict[str, float] = {}
    for name, thing in objects_of(base):
        parts = [int(part.per_scene_id[0]) for part in getattr(thing, "links", [thing])]
        share = max(float(np.isin(picture, parts).mean()) for picture in pictures)
        for label in (name, *(point.name for point in points if point.part_of == name)):
            shares[f"{label}_position_m"] = shares[f"{label}_quat_wxyz"] = share
    return shares


def objects_of(base: Any) -> Iterator[tuple[str, Any]]:
    """Whatever is labelled, by name."""
    kept, other = base.scene.state_dict_registry, _furniture(base) | _robots(base)
    for things in (kept.actors, kept.articulations):
        for name, thing in things.items():
            if name not in other:
                yield from _with_links(name.replace("/", "_"), thing)


def _with_links(name: str, thing: Any) -> Iterator[tuple[str, Any]]:
    yield name, thing
    for joint in getattr(thing, "active_joints", ()):
        yield f"{name}_{joint.child_link.name}", joint.child_link


def _furniture(base: Any) -> set[str]:
    """What the scene builders put there that no task moves: a table, a kitchen."""
    from mani_skill.utils.scene_builder import SceneBuilder

    names: set[str] = set()
    for builder in vars(base).values():
        if isinstance(builder, SceneBuilder):
            names |= _names(builder.scene_objects) - _names(builder.movable_objects)
    return names


def _names(things: Any) -> set[str]:
    """Of what a builder holds by name or in a list, or None."""
    return {thing.name for thing in (things.values() if isinstance(things, dict) else things or [])}


def _robots(base: Any) -> set[str]:
    return {agent.robot.name for agent in getattr(base.agent, "agents", [base.agent])}
