"""The funnel of an episode: how far did it get? Every simulator calls the same sub-goal by the same name."""

from __future__ import annotations

FUNNEL = ("reached", "grasped", "lifted", "moved", "aligned", "placed")  # in the order of an episode

DOWN_M = 0.05  # above an object: a hand that is lower has come down


def ordered(names: set[str]) -> list[str]:
    """The funnel's steps first, in their order, then the task's own flags by name."""
    return [name for name in FUNNEL if name in names] + sorted(names - set(FUNNEL))
