"""What an improvement found, and what all of a run's found, as tables: a line for each policy that was measured."""

from __future__ import annotations

from typing import Any

from pirig.files.tables import Column, markdown
from pirig.improving.compared import Compared, Line
from pirig.improving.door import CONTROL


def columns_of_all(compared: Compared) -> list[Column]:
    """Of all improvements of one base."""
    lines = compared.lines
    return [
        Column("policy", [line.policy for line in lines], folds=True),
        Column("success", [f"{line.k}/{line.n}" for line in lines]),
        Column("95 %", [_interval(line.low, line.high) for line in lines]),
        Column("p beside base", [_beside_base(line) for line in lines]),
        Column("beside control", [_number(line.p_control) for line in lines]),
        Column("beside corrections", [_number(line.p_corrections) for line in lines]),
        Column("roll-outs", [str(line.rolled_out or "") for line in lines], drop=1),
        Column("environment steps", [_steps(line) for line in lines], drop=2),
        Column("minutes", [f"{line.minutes:.1f}" if line.minutes else "" for line in lines], drop=1),
        Column("critic's AUC", [_auc(line) for line in lines], drop=3),
    ]


NOTE = (
    "p: Fisher's exact test, two-sided, in brackets adjusted for all lines (Holm); beside the control of the same extra steps; "
    "beside the planner's corrections after as many roll-outs. Roll-outs, their environment steps and minutes without evaluation "
    "are what a line took beyond the base; minutes leave out what an earlier improvement of the base had made."
)


def markdown_of_all(compared: Compared) -> str:
    columns = columns_of_all(compared)
    rows = zip(*(column.cells for column in columns), strict=True)
    first, last = compared.held_out
    title = f"{compared.parent}, held-out scenes {first} to {last}"
    return f"{title}\n\n{markdown([column.name for column in columns], list(map(list, rows)))}\n\n{NOTE}\n"


def _beside_base(line: Line) -> str:
    return "" if line.p_base is None else f"{line.p_base:.3g} ({line.p_base_holm:.3g})"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _steps(line: Line) -> str:
    return "not counted" if line.environment_steps is None else f"{line.environment_steps or ''}"


def _auc(line: Line) -> str:
    return "" if line.auc is None else f"{line.auc[0]:.0%} ({line.auc[1]:.0%} to {line.auc[2]:.0%})"


def _interval(low: float, high: float) -> str:
    return f"{low:.1%} to {high:.1%}"


def columns(result: dict[str, Any]) -> list[Column]:
    """Of what `Improvement.run` returns."""
    rows: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [("base", "", result["base"], {})]
    for told in result["rounds"]:
        rows += [(f"round {told['round']} {arm}", arm, rate, told) for arm, rate in told["rates"].items()]
    return [
        Column("policy", [name for name, _, _, _ in rows], folds=True),
        Column("success", [f"{rate['k']}/{rate['n']}" for _, _, rate, _ in rows]),
        Column("95 %", [_interval(rate["low"], rate["high"]) for _, _, rate, _ in rows]),
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
