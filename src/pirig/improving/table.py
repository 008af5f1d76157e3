"""What an improvement found, as a table: a line for each policy that was measured."""

from __future__ import annotations

from typing import Any

from pirig.files.tables import Column
from pirig.improving.door import CONTROL


def columns(result: dict[str, Any]) -> list[Column]:
    """Of what `Improvement.run` returns."""
    rows: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [("base", "", result["base"], {})]
    for told in result["rounds"]:
        rows += [(f"round {told['round']} {arm}", arm, rate, told) for arm, rate in told["rates"].items()]
    return [
        Column("policy", [name for name, _, _, _ in rows], folds=True),
        Column("success", [f"{rate['k']}/{rate['n']}" for _, _, rate, _ in rows]),
        Column("95 %", [f"{rate['low']:.1%} to {rate['high']:.1%}" for _, _, rate, _ in rows]),
        Column("p beside base", [_p(told, "base", arm) for _, arm, _, told in rows]),
        Column("p beside control", [_p(told, arm, "control") for _, arm, _, told in rows]),
        Column("corrections", [_corrections(told, arm) for _, arm, _, told in rows], drop=1),
    ]


def _corrections(told: dict[str, Any], arm: str) -> str:
    return str(told["corrections"]) if "corrections" in told and arm != CONTROL else ""


def _p(told: dict[str, Any], first: str, second: str) -> str:
    verdict = told.get("fisher", {}).get(f"{first} and {second}")
    if verdict is None:
        return ""
    return f"{verdict['p']:.3g}" + ("" if verdict["differ"] else " (not told apart)")


def lines(result: dict[str, Any]) -> list[str]:
    """What each round made, in words."""
    rounds = [(told["round"], _said(told)) for told in result["rounds"]]
    return [f"round {number}: {said}" for number, said in rounds if said]


def _said(told: dict[str, Any]) -> str:
    if "said" in told:
        return str(told["said"])
    if "rolled_out" not in told:
        return ""
    lost = ", ".join(f"{what} {count}" for what, count in sorted(told["lost"].items())) or "none"
    return (
        f"{told['succeeded']} of {told['rolled_out']} roll-outs succeeded; lost: {lost}; {told['left_out_held']} left out, an "
        f"object was held; {told['corrections']} corrections"
    )
