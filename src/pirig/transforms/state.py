"""The state recipe: which numbers of an observation the policy sees, and in which order.

Each entry is computed from an observation's arrays (leading axes are free), so the same function serves one live
observation and a whole episode. A new source of numbers is a line in `SOURCES` and one in `STATE_DIMS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pirig.config.agreement import STATE_DIMS

Source = Mapping[str, np.ndarray]


# The array that each entry's numbers are the first of; how many is in STATE_DIMS. Units: joints rad, fingers m;
# goal_pos m, world frame; tcp_pose position m, world frame, and quat_wxyz.
SOURCES = {"qpos8": "qpos", "qpos9": "qpos", "goal_pos": "goal_pos", "tcp_pose": "tcp_pose"}


def build_state(entries: Sequence[str], source: Source) -> np.ndarray:
    """The entries' numbers, concatenated in the given order: f32 [..., contract.state_dim].

    Raises ValueError where an entry is unknown or the source lacks its numbers.
    """
    return np.concatenate([_taken(name, source) for name in entries], axis=-1).astype(np.float32)


def _taken(name: str, source: Source) -> np.ndarray:
    if name not in SOURCES:
        raise ValueError(f"state entry {name!r} is unknown; known are {', '.join(SOURCES)}")
    key, count = SOURCES[name], STATE_DIMS[name]
    if key not in source:
        arrays = ", ".join(sorted(found for found in source if not found.startswith("image/")))
        raise ValueError(
            f"the state needs {key!r}, which this observation lacks (it has: {arrays or 'nothing'}); "
            "choose another state=... or a task that offers it"
        )
    values = np.asarray(source[key])
    if values.shape[-1] < count:
        raise ValueError(f"{key} has {values.shape[-1]} numbers, the state needs at least {count}")
    return values[..., :count]
