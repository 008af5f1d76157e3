"""Every known way to 0 % is caught, the good run raises nothing, and the table in docs/ is what these tests say."""

import re
from pathlib import Path

import pytest

from pirig.config.schema import GatesConfig
from pirig.gates import data, policy
from pirig.gates.finding import GateError, Report, require_good, run_gates
from tests.faults import diagnosed
from tests.faults.faults import FAULTS

assert diagnosed  # importing it adds its faults to FAULTS
TABLE = Path(__file__).parents[2] / "docs" / "fault-matrix.md"


def matrix() -> str:
    rows = "".join(f"| {fault.what} | {fault.caught_by} | {fault.before} |\n" for fault in FAULTS)
    return (
        f"# {len(FAULTS)} known ways to 0 %, and what stops each\n\n"
        "Written by `python -m tests.faults.test_matrix`; tests/faults injects each one into a good run and demands that it "
        "is caught before the stage it would waste, or named by `pirig diagnose RUN` afterwards.\n\n"
        "| somebody did this | it is caught by | before |\n|---|---|---|\n" + rows
    )


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.what for fault in FAULTS])
def test_fault_is_caught(fault, good, pool):
    try:
        said = " ".join(fault.inject(good, pool) or [])
    except ValueError as error:
        said = str(error)
    assert re.search(fault.words, said, re.DOTALL), said or "nothing was said"


def test_the_good_run_raises_nothing(good, pool):
    gates = data.cheap(good.open_dataset(), good.stats, good.pipeline.normalization)
    report = run_gates({**gates, **policy.gates(good.pipeline, good.record)}, [])
    assert report.good, report.lines()


def test_gates_that_ask_the_simulator_are_recorded_when_they_are_switched_off(good):
    settings = GatesConfig(skip=["demo_replay", "first_frame"])
    report = data.check(good.open_dataset(), good.stats, good.pipeline.normalization, settings)
    assert report.good and report.skipped == ["first_frame", "demo_replay"]


def test_the_table_is_current():
    assert TABLE.read_text() == matrix(), "run `python -m tests.faults.test_matrix`"


def test_a_gate_can_be_switched_off_by_name_and_that_is_recorded():
    bad = {"seeds": lambda: ["one seed"], "finite": lambda: []}
    report = run_gates(bad, [])
    with pytest.raises(GateError, match=r"(?s)seeds: one seed.*gates\.skip=\[seeds\]"):
        require_good(report, "train")
    assert run_gates(bad, ["seeds"]) == Report({"finite": []}, ["seeds"])


if __name__ == "__main__":
    TABLE.write_text(matrix())
