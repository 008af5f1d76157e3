"""The state recipe: which numbers of an observation the policy sees, and in which order.

Each entry is computed from an observation's arrays (leading axes are free), so the same function serves one live
observation and a whole episode. A new source of numbers is one line in `STATE_ENTRIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

Source = Mapping[str, np.ndarray]


def _taken(key: str, count: int) -> Callable[[Source], np.ndarray]:
    """The first `count` numbers of `source[key]`."""

    def take(source: Source) -> np.ndarray:
        if key not in source:
            arrays = ", ".join(sorted(name for name in source if not name.startswith("image/")))
            raise ValueError(
                f"the state needs {key!r}, which this observation lacks (it has: {arrays or 'nothing'}); "
                "choose another state=... or a task that offers it"
            )
        values = np.asarray(source[key])
        if values.shape[-1] < count:
            raise ValueError(f"{key} has {values.shape[-1]} numbers, the state needs at least {count}")
        return values[..., :count]

    return take


STATE_ENTRIES: dict[str, tuple[int, Callable[[Source], np.ndarray]]] = {
    "qpos8": (8, _taken("qpos", 8)),  # seven joints (rad) and one finger (m)
    "qpos9": (9, _taken("qpos", 9)),  # seven joints (rad) and both fingers (m)
    "goal_pos": (3, _taken("goal_pos", 3)),  # m, world frame
    "tcp_pose": (7, _taken("tcp_pose", 7)),  # position (m, world frame) and quat_wxyz
}


def state_dim(entries: Sequence[str]) -> int:
    """Numbers in the state made of these entries."""
    return sum(_entry(name)[0] for name in entries)


def build_state(entries: Sequence[str], source: Source) -> np.ndarray:
    """The entries' numbers, concatenated in the given order: f32 [..., state_dim(entries)].

    Raises ValueError where an entry is unknown or the source lacks its numbers.
    """
    return np.concatenate([_entry(name)[1](source) for name in entries], axis=-1).astype(np.float32)


def _entry(name: str) -> tuple[int, Callable[[Source], np.ndarray]]:
    if name not in STATE_ENTRIES:
        raise ValueError(f"state entry {name!r} is unknown; known are {', '.join(STATE_ENTRIES)}")
    return STATE_ENTRIES[name]
