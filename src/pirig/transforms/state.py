"""The state recipe: which numbers of an observation the policy sees, and in which order.

Each entry is computed from an observation's arrays (leading axes are free), so the same function serves one live
observation and a whole episode. A new source of numbers is a line in `config/state_entries.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from pirig.config.state_entries import Owner, StateEntry, state_entry

JOINT_ARRAY = "joint_position"  # of a real arm
Source = Mapping[str, np.ndarray]


def build_state(entries: Sequence[str], source: Source, angle_center_rad: Sequence[float] = ()) -> np.ndarray:
    """The entries' numbers, concatenated in the given order: f32 [..., contract.state_dim].

    With `angle_center_rad` (the contract's), a real arm's joint angles are named within pi of it. Raises ValueError where
    an entry is unknown or the source lacks its numbers.
    """
    parts, used = list[np.ndarray](), Counter[str]()
    for name in entries:
        entry = state_entry(name)
        start = used[entry.array] if entry.owner == Owner.arm else entry.first  # two arms: each has a part of an array
        part = _taken(entry, source, start)
        if entry.array == JOINT_ARRAY and len(angle_center_rad):
            part = within_turn(part, angle_center_rad[start : start + entry.count])
        used[entry.array] += entry.count
        parts.append(part)
    return np.concatenate(parts, axis=-1).astype(np.float32)


def within_turn(angles_rad: Float[np.ndarray, "*lead n"], center_rad: Sequence[float]) -> Float[np.ndarray, "*lead n"]:
    """The same positions of continuous joints, each number in [center - pi, center + pi); as is without one."""
    if not len(center_rad):
        return angles_rad
    low = np.asarray(center_rad, np.float64) - np.pi
    return low + (np.asarray(angles_rad, np.float64) - low) % (2 * np.pi)


def _taken(entry: StateEntry, source: Source, start: int) -> np.ndarray:
    key, end = entry.array, start + entry.count
    if key not in source:
        arrays = ", ".join(sorted(array for array in source if not array.startswith("image/")))
        raise ValueError(
            f"the state needs {key!r}, which this observation lacks (it has: {arrays or 'nothing'}); "
            "choose another state=... or a task that offers it"
        )
    values = np.asarray(source[key])
    if values.shape[-1] < end:
        raise ValueError(f"{key} has {values.shape[-1]} numbers, the state needs at least {end}")
    return values[..., start:end]
