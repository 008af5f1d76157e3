"""Keys of older versions. A saved config that has them loads, and a run keeps the id that it had with them.

`camera.wrist` and `state.includes_goal` said by hand what the entries say; they went. A command line that still gives one is
told so; a YAML that does is refused where it says another thing than the entries do.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from pirig.config.schema import Config
from pirig.config.state_entries import holds_goal

RETIRED = {
    "camera.wrist": "the robot that carries a camera is chosen where an entry of camera.entries has sensor=hand_camera",
    "state.includes_goal": "whether the state holds the goal follows from state.entries",
}
OPENED = ("camera", "state")  # groups in which Hydra lets an older key pass, so that `load.typed` can answer for it


def retired_values(config: Config) -> dict[str, Any]:
    """What a config of an older version said under the keys that went, where it agreed with its entries."""
    entries = config.camera.entries.values()
    on_hand = any(entry.sensor == "hand_camera" or entry.role == "left_wrist_0_rgb" for entry in entries)
    return {"camera.wrist": on_hand, "state.includes_goal": holds_goal(config.state.entries)}


def refuse_retired(words: Iterable[str]) -> None:
    """Raises ValueError where an override gives a key that went."""
    for word in words:
        key = word.lstrip("+~").split("=")[0]
        if key in RETIRED:
            raise ValueError(f"{word}: this is no key any more: {RETIRED[key]}. Leave it out.")


def take_retired(plain: dict[str, Any]) -> dict[str, Any]:
    """Takes the keys that went out of a nested config; returns them with their values."""
    taken = {}
    for dotted in RETIRED:
        group, key = dotted.split(".")
        if isinstance(plain.get(group), dict) and key in plain[group]:
            taken[dotted] = plain[group].pop(key)
    return taken


def current(saved: dict[str, Any]) -> dict[str, Any]:
    """A config that an older version saved, nested, with the keys of this one."""
    renewed = copy.deepcopy(saved)
    take_retired(renewed)
    return renewed


def require_agreement(said: dict[str, Any], config: Config) -> None:
    """Raises ValueError where a YAML says another thing under a key that went than its entries do."""
    computed = retired_values(config)
    for key, value in said.items():
        if value != computed[key]:
            raise ValueError(
                f"{key}: {value} in a YAML, and the entries say {computed[key]}: this is no key any more, {RETIRED[key]}. "
                "Take it out of the YAML."
            )
