"""Every known way to 0 % is caught, the good run raises nothing, and the table in docs/ is what these tests say."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pirig.config.load import of_run
from pirig.config.schema import GatesConfig
from pirig.gates import data, policy
from pirig.gates.ask import reports
from pirig.gates.finding import GateError, Report, require_good, run_gates
from tests.faults import diagnosed, full_size, made_from, recorded
from tests.faults.faults import FAULTS

assert diagnosed and full_size and made_from and recorded  # importing them adds their faults to FAULTS
ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "fault-matrix.md"


def matrix() -> str:
    rows = "".join(f"| {fault.what} | {fault.caught_by} | {fault.before} |\n" for fault in FAULTS)
    return (
        f"# {len(FAULTS)} known ways to 0 %, and what stops each\n\n"
        "Written by `python -m tests.faults.test_matrix`; tests/faults injects each one into a good run and demands that it "
        "is caught before the stage it would waste, or named by `pirig diagnose RUN` afterwards.\n\n"
        "| somebody did this | it is caught by | before |\n|---|---|---|\n" + rows + healthy()
    )


def healthy() -> str:
    """What the same gates say where nothing is wrong, from the results of benchmarks/."""
    rows = [("data set of " + name, one, "demos replayed") for name, one in _measured("oracles", "oracles").items()]
    rows += [("run " + name, one, "policy") for name, one in _measured("healthy", "runs").items()]
    lines = "".join(
        f"| {name} | {one['k']}/{one['n']} ({what}) | {len(one['gates'])} | {'; '.join(one['gates_raised']) or 'nothing'} |\n"
        for name, one, what in rows
    )
    return (
        "\n## Healthy ones\n\nWhere nothing was wrong, the gates said this (`python -m benchmarks.oracles`, "
        "`python -m benchmarks.healthy RUN...`).\n\n"
        "| of | success | gates asked | they said |\n|---|---|---|---|\n" + lines
    )


def _measured(name: str, key: str) -> dict[str, dict[str, Any]]:
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}-cpu-2cores.json").read_text())[key]


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.what for fault in FAULTS])
def test_fault_is_caught(fault, good, pool):
    try:
        said = " ".join(fault.inject(good, pool) or [])
    except ValueError as error:
        said = str(error)
    assert re.search(fault.words, said, re.DOTALL), said or "nothing was said"


def test_the_good_run_raises_nothing(good, pool):
    gates = data.cheap(good.open_dataset(), good.stats, good.pipeline.normalization)
    report = run_gates({**gates, **policy.gates(good.pipeline, good.card, good.config)}, [])
    assert report.good, report.lines()


def test_a_checkpoint_from_before_the_pixels_were_kept_is_asked_what_it_holds(good):
    probe = {name: value for name, value in good.card.probe.items() if name != "pixels"}
    old = dataclasses.replace(good.card, probe=probe)
    assert not policy.transforms(good.pipeline, old)
    assert policy.transforms(dataclasses.replace(good.pipeline, normalization="zscore"), old)


def test_an_evaluation_with_another_horizon_is_stopped_by_the_gate_and_may_be_forced(good):
    """On the real path: nothing else stands before it, and gates.skip lets it pass."""
    asked = of_run(good.folder, ["horizon.steps=10"])
    with pytest.raises(GateError, match=r"chunk: horizon=10.*with horizon 16"):
        policy.require_served_as_trained(asked, good.checkpoint, good.card)
    forced = of_run(good.folder, ["horizon.steps=10", "gates.skip=[chunk]"])
    assert policy.require_served_as_trained(forced, good.checkpoint, good.card).skipped == ["chunk"]


def test_doctor_names_a_hidden_goal_that_was_forced(good, tmp_path):
    assert next(reports(good.folder))[1].good
    plain = yaml.safe_load((good.folder / "config.yaml").read_text())
    plain["task"]["goal_visible"], plain["allow_unobservable_goal"] = False, True
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(plain))
    (tmp_path / "contract.json").write_bytes((good.folder / "contract.json").read_bytes())
    _, report = next(reports(tmp_path))
    assert "no policy can succeed" in report.lines()[0]


def test_healthy_data_sets_and_runs_raised_nothing():
    entries = [*_measured("oracles", "oracles").values(), *_measured("healthy", "runs").values()]
    assert len(entries) >= 10 and not [line for one in entries for line in one["gates_raised"]]


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
