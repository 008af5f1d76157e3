"""What chunks that come late cost: an evaluation with a delay beside the one without, of the same policy in the same scenes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from pirig.comparison.success import SuccessRow
from pirig.config.measuring import EvalConfig

UNSAID = {
    name: getattr(EvalConfig(), name)
    for name in ("sim_backend", "ensemble", "server", "delay", "rtc", "best_of", "critic", "head", "exchange_prompts")
}  # of an evaluation's settings: its file says them where they are not these
DELAYED = ("delay", "rtc")
PLACE = "checkpoint"  # which one it was is said by its digest


def beside_no_delay(
    policy: SuccessRow, settings: Mapping[str, Any], others: Iterable[tuple[Mapping[str, Any], SuccessRow]]
) -> SuccessRow:
    """With `without_delay`, where one of the finished `others` (settings, policy row) differs in nothing but the delay."""
    asked = _whole(settings)
    if not _delayed(asked):
        return policy
    for theirs, row in others:
        told = _whole(theirs)
        if not _delayed(told) and _apart_from_delay(told) == _apart_from_delay(asked):
            return dataclasses.replace(policy, without_delay=[row.k, row.n])
    return policy


def _whole(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {**UNSAID, **settings}


def _delayed(settings: Mapping[str, Any]) -> bool:
    return any(settings[name] != UNSAID[name] for name in DELAYED)


def _apart_from_delay(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in (*DELAYED, PLACE)}
