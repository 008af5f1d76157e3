"""Groups whose options are numbers: each whole number is one, with a file or without."""

from __future__ import annotations

import re
from importlib import resources

NUMBERED = {"horizon": ("h", "steps"), "fsdp": ("fsdp", "devices")}  # group -> (how its options begin, its one key)


def option(group: str, value: str) -> str:
    """ "12" or "h12" -> "h12"; another word as it is.

    Raises ValueError where the value begins as a number does and is no whole number of at least 1.
    """
    prefix = NUMBERED[group][0]
    number = value.removeprefix(prefix)
    if re.fullmatch(r"[1-9]\d*", number):
        return prefix + number
    if re.match(r"[-+.]?\d", number):
        raise ValueError(_expected(group, value))
    return value


def require_known(group: str, value: str) -> None:
    """Raises ValueError where a word is no option: the package has no file for it, and it ends with no number."""
    files = [file.name for file in resources.files(f"pirig.conf.{group}").iterdir()]
    if f"{value}.yaml" not in files and node(f"{group}/{value}") is None:
        raise ValueError(_expected(group, value))


def node(path: str) -> dict[str, int] | None:
    """What the option says that Hydra asks for by "horizon/h12" or "horizon/h12.yaml"; None where that is no number's."""
    for group, (prefix, key) in NUMBERED.items():
        match = re.fullmatch(rf"{group}/{prefix}([1-9]\d*)(\.yaml)?", path)
        if match:
            return {key: int(match[1])}
    return None


def _expected(group: str, value: str) -> str:
    return f"{group}={value}: expected a whole number of at least 1, as in {group}=12."
