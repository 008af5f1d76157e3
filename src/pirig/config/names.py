"""Closed lists of names that a config may hold, and the nearest name to a mistyped one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

GATES = (  # by what asks them: gates/data.py, gates/policy.py, gates/ask.py
    "finite",
    "seeds",
    "episodes",
    "actions",
    "angles",
    "gripper",
    "gripper_state",
    "statistics",
    "image_size",
    "images",
    "lead",
    "moves",
    "pictures",
    "first_frame",
    "demo_replay",
    "transforms",
    "state_reaches_model",
    "chunk",
    "agreement",
    "acts",
)
ROLES = ("base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb")  # openpi's names of a model's images
ALL_ROLES = (*ROLES, "base_1_rgb")  # and of pi0-FAST's second camera that stands still

WRIST = "wrist"  # in the role of a camera that the hand carries


def standing(roles: Iterable[str]) -> list[str]:
    """The roles of cameras that stand still; all where none does. The others move with the hand: what they show does not say
    where in the world it is."""
    every = list(roles)
    return [role for role in every if WRIST not in role] or every


def near(word: object, names: Iterable[str]) -> str:
    """The one of `names` that was probably meant; "" where none is near."""
    return next(iter(difflib.get_close_matches(str(word), list(names), n=1, cutoff=0.6)), "")
