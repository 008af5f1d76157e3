"""Evaluations of one policy with chunks that come late: what a comparison shows of them, and the fall from no delay."""

import csv
import io
import json
import shutil

import pytest
from rich.console import Console

from pirig.comparison import export, report, terminal
from pirig.comparison.collect import collect
from pirig.comparison.compare import Comparison
from pirig.comparison.success import SuccessRow
from pirig.evaluation.measured import Measured, load, with_fall
from tests.comparison.run_folders import RunFolders

LATE = {"delay": 4, "rtc": True, "stale": 0.45, "jerk": 0.25}


@pytest.fixture
def run(tmp_path):
    """Evaluated without delay (30/40), and with one (22/40) beside it."""
    folder = RunFolders(tmp_path).write("one", policy=(30, 40))
    (plain,) = (folder / "eval").iterdir()
    late = shutil.copytree(plain, folder / "eval" / "step120-def456")
    settings = json.loads((plain / "settings.json").read_text())
    (late / "settings.json").write_text(json.dumps(settings | {"delay": "4", "rtc": True}))
    rates = json.loads((plain / "rates.json").read_text())
    rates["policy"] |= {"k": 22, **LATE}
    (late / "rates.json").write_text(json.dumps(rates))
    return folder


def test_the_fall_is_told_from_the_same_evaluation_without_delay(run):
    comparison = Comparison(collect([run]))
    plain, late = comparison.rows
    assert plain.policy.without_delay is None and late.policy.without_delay == [30, 40]
    assert late.policy.fall == pytest.approx(0.2)
    assert [column.name for column in comparison.columns] == ["eval.delay", "eval.rtc"]
    assert "2 settings differ: eval.delay, eval.rtc" in comparison.pairs[0].remark
    said = "chunks come 4 steps late, real-time chunking; 45% of the actions stale; jerk 0.25; "
    said += "without delay 30/40, a fall of 20 points"
    assert said in report.to_markdown(comparison)
    console = Console(width=200, record=True)
    terminal.show(comparison, console)
    assert f"{late.label}: {said}" in console.export_text()
    (record,) = [row for row in csv.DictReader(io.StringIO(export.to_csv(comparison))) if row["policy_delay"]]
    assert float(record["policy_fall"]) == pytest.approx(0.2) and record["policy_stale"] == "0.45"


def test_another_setting_beside_the_delay_is_no_fall(run):
    path = run / "eval" / "step120-def456" / "settings.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"execute": 4}))
    late = next(row for row in Comparison(collect([run])).rows if row.policy.late)
    assert late.policy.fall is None and "fall" not in late.policy.late_text()


def test_the_evaluation_itself_says_it_too(run):
    late = run / "eval" / "step120-def456"
    settings = json.loads((late / "settings.json").read_text())
    told = with_fall(load(late), late, settings)
    assert told.lines()[1].strip().endswith("without delay 30/40, a fall of 20 points")
    plain = next(folder for folder in (run / "eval").iterdir() if folder != late)
    assert with_fall(load(plain), plain, json.loads((plain / "settings.json").read_text())) == load(plain)


def test_a_row_without_delay_is_written_as_it_was(tmp_path):
    row = SuccessRow(25, 40, 0.47, 0.76, 20)
    assert not {"delay", "rtc", "stale", "latency_ms", "without_delay"} & row.plain().keys() and "jerk" in row.plain()
    late = SuccessRow(25, 40, 0.47, 0.76, 20, latency_ms=130.0, without_delay=[30, 40], **LATE)
    measured = Measured({"policy": late})
    measured.save(tmp_path)
    assert load(tmp_path) == measured and "4 steps late (130 ms)" in measured.lines()[1]
