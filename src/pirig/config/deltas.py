"""Control modes whose first three numbers say how far the hand is to go, along the axes in which a state tells its place."""

from __future__ import annotations

from collections.abc import Sequence

from pirig.config.state_entries import STATE_ENTRIES, columns_of

# what 1 of them is: robosuite's OSC_POSE; ManiSkill's Panda, whose base stands along the world's axes
UNIT_M = {"osc_pose_delta": 0.05, "pd_ee_delta_pose": 0.1}
PLACES = ("eef_pos3", "tcp_pose")  # entries of a state that begin with that place


def place_columns(entries: Sequence[str]) -> list[int]:
    """Which three numbers of a state of these entries say where the hand is; [] where none do."""
    return next((columns_of(entries, STATE_ENTRIES[name].array)[:3] for name in PLACES if name in entries), [])
