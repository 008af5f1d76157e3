"""The whole state of a scene as flat arrays, ManiSkill's own numbers, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pirig.sim.door import State
from pirig.sim.maniskill.batches import batched


def state_of(base: Any) -> State:
    """The first scene's: "actors/<name>" f32 [13], "articulations/<name>" f32 [13 + 2 dof]."""
    nested = base.get_state_dict()
    return {
        f"{kind}/{name}": batched(value)[0]
        for kind in ("actors", "articulations")
        for name, value in nested.get(kind, {}).items()
    }


def as_maniskill(states: Sequence[State]) -> dict[str, dict[str, Any]]:
    """One state for each scene, in the form that `set_state_dict` takes."""
    import torch

    nested: dict[str, dict[str, Any]] = {}
    for key in states[0]:
        kind, name = key.split("/", 1)
        nested.setdefault(kind, {})[name] = torch.as_tensor(np.stack([state[key] for state in states]))
    return nested
