"""Keys of older versions. A saved config that has them loads, and a run keeps the id that it had with them.

`camera.wrist` and `state.includes_goal` said by hand what the entries say; they went. A command line that still gives one is
told so; a YAML that does is refused where it says another thing than the entries do.

The rates of the learning-rate schedule moved from `train` to `schedule`; the old keys mean the same on a command line, in a
YAML and in a saved config. They were a cosine's, so `train.final_lr` and `train.decay_steps` ask for `schedule.name=cosine`.
What the columns of a recording are moved from `demos` to `data`.
"""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from pirig.config.schema import Config
from pirig.config.state_entries import holds_goal

RETIRED = {
    "camera.wrist": "the robot that carries a camera is chosen where an entry of camera.entries has sensor=hand_camera",
    "state.includes_goal": "whether the state holds the goal follows from state.entries",
}
MOVED = {f"train.{key}": f"schedule.{key}" for key in ("peak_lr", "warmup_steps", "final_lr", "decay_steps")}
MOVED |= {
    "demos.state_columns": "data.state",
    "demos.action_columns": "data.actions",
    "demos.angle_unit": "data.angle_unit",
    "demos.gripper_max": "data.gripper_max",
}
OF_A_COSINE = ("train.final_lr", "train.decay_steps")
CONSTANT_ENDS_AT = (
    1_000_000  # step; a constant rate was written as a cosine from the peak to the peak, which ends there
)
OPENED = ("camera", "state")  # groups in which Hydra lets an older key pass, so that `load.typed` can answer for it


def retired_values(config: Config) -> dict[str, Any]:
    """What a config of an older version said under the keys that went, where it agreed with its entries."""
    entries = config.camera.entries.values()
    on_hand = any(entry.sensor == "hand_camera" or entry.role == "left_wrist_0_rgb" for entry in entries)
    return {"camera.wrist": on_hand, "state.includes_goal": holds_goal(config.state.entries)}


def old_keys(flat_config: dict[str, Any]) -> dict[str, Any]:
    """A flat config with the keys that moved under their old names, written as the version before them wrote it."""
    old = {new: name for name, new in MOVED.items()}
    renamed = {old.get(key, key): value for key, value in flat_config.items()}
    if renamed.get("schedule.name") == "constant":
        renamed |= {"train.final_lr": renamed["train.peak_lr"], "train.decay_steps": CONSTANT_ENDS_AT}
        del renamed["schedule.name"]
    return renamed


def move_words(words: Sequence[str]) -> list[str]:
    """Overrides with keys that moved under their new names. Raises ValueError where an old key contradicts `schedule=`."""
    keys = [re.match(r"[+~]*([\w.]*)", word).group(1) for word in words]  # type: ignore[union-attr]
    cosines = [key for key in keys if key in OF_A_COSINE]
    chosen = next((word for word in words if re.match(r"schedule(\.name)?=", word)), None)
    if cosines and chosen and chosen.partition("=")[2] != "cosine":
        raise ValueError(
            f"{cosines[0]} with {chosen}: it is an old key of the cosine, now {MOVED[cosines[0]]}; leave it out, or choose "
            "schedule=cosine."
        )
    moved = []
    _say_moved([key for key in keys if key in MOVED and key.startswith("demos.")])
    for word, key in zip(words, keys, strict=True):
        moved.append(word.replace(key, MOVED[key], 1) if key in MOVED else word)
        if key in cosines[:1] and not chosen:
            moved.append("schedule.name=cosine")
    return moved


def _say_moved(keys: Sequence[str]) -> None:
    """Once in a process, of keys that moved when a group of files came for them."""
    new = [f"{key} is {MOVED[key]} now" for key in dict.fromkeys(keys) if key not in _SAID]
    _SAID.update(keys)
    if new:
        print(f"note: {', '.join(new)}; the old key means the same (conf/data/ has presets)", file=sys.stderr)


_SAID: set[str] = set()


def move_keys(plain: dict[str, Any]) -> dict[str, Any]:
    """A nested config, or a part of one, with keys that moved in their new places; a copy where there are any."""
    keys = [key for key in MOVED if _there(plain, key)]
    if not keys:
        return plain
    moved = copy.deepcopy(plain)
    for key in keys:
        (old, name), (group, new) = key.split("."), MOVED[key].split(".")
        moved[group] = moved.get(group) or {}
        if key in OF_A_COSINE:
            moved[group].setdefault("name", "cosine")
        moved[group].setdefault(new, moved[old].pop(name))
    return moved


def _there(plain: dict[str, Any], key: str) -> bool:
    group, _, name = key.partition(".")
    return isinstance(plain.get(group), dict) and name in plain[group]


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
    renewed = move_keys(copy.deepcopy(saved))
    take_retired(renewed)
    if "schedule" not in saved and _is_constant(renewed.get("schedule", {})):
        renewed["schedule"] |= {"name": "constant", "decay_steps": 0}
    return renewed


def _is_constant(rates: dict[str, Any]) -> bool:
    return rates.get("final_lr") == rates.get("peak_lr") and rates.get("decay_steps") == CONSTANT_ENDS_AT


def require_agreement(said: dict[str, Any], config: Config) -> None:
    """Raises ValueError where a YAML says another thing under a key that went than its entries do."""
    computed = retired_values(config)
    for key, value in said.items():
        if value != computed[key]:
            raise ValueError(
                f"{key}: {value} in a YAML, and the entries say {computed[key]}: this is no key any more, {RETIRED[key]}. "
                "Take it out of the YAML."
            )
