"""Words that users type, turned into words that Hydra accepts.

Hydra refuses numbers as option names, so the options are called `h20` and `fsdp8`; `horizon=20` and `fsdp=1,8` are what
people write. `experiment=x` works as it is.
"""

from __future__ import annotations

import re

PREFIXES = {"horizon": "h", "fsdp": "fsdp"}


def rewrite(arguments: list[str]) -> list[str]:
    """``["horizon=20", "fsdp=1,8"]`` -> ``["horizon=h20", "fsdp=fsdp1,fsdp8"]``; everything else unchanged."""
    return [_rewrite_one(argument) for argument in arguments]


def _rewrite_one(argument: str) -> str:
    match = re.fullmatch(r"(horizon|fsdp)=(\d+(?:,\d+)*)", argument)
    if not match:
        return argument
    group, values = match.groups()
    return f"{group}=" + ",".join(PREFIXES[group] + value for value in values.split(","))
