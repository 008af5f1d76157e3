"""The boxes that LIBERO's things collide as, where they are now."""

from __future__ import annotations

from typing import Any

import numpy as np

from pirig.demos.libero.grasps import Boxes

BOX = 6  # MuJoCo's number of that kind


def boxes_of(base: Any, name: str) -> Boxes:
    """Of one thing or fixture, drawers and doors with it."""
    return _boxes(base, lambda root: root == base.obj_body_id[name])


def boxes_beside(base: Any, *names: str) -> Boxes:
    """Of everything else that LIBERO placed; not the table, not the robot."""
    beside = set(base.obj_body_id.values()) - {base.obj_body_id[name] for name in names}
    return _boxes(base, lambda root: root in beside)


def _boxes(base: Any, wanted: Any) -> Boxes:
    model, data = base.sim.model, base.sim.data
    roots = [_placed_root(base, body) for body in range(model.nbody)]
    geoms = [
        geom
        for geom in range(model.ngeom)
        if model.geom_type[geom] == BOX and model.geom_contype[geom] and wanted(roots[model.geom_bodyid[geom]])
    ]
    rotations = np.array(data.geom_xmat[geoms]).reshape(-1, 3, 3)
    return Boxes(np.array(data.geom_xpos[geoms]), rotations, np.array(model.geom_size[geoms]))


def _placed_root(base: Any, body: int) -> int:
    """The thing that a body is a part of; 0, the world, where it is of none."""
    placed, parents = set(base.obj_body_id.values()), base.sim.model.body_parentid
    while body and body not in placed:
        body = int(parents[body])
    return body
