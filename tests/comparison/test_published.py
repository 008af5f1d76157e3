"""Other people's rates stand beside ours, with a test where somebody said of how many episodes."""

import json

import pytest

from pirig.comparison.collect import collect
from pirig.comparison.compare import Comparison
from pirig.comparison.published import beside, parsed, read, shipped
from pirig.stages.compare import main
from tests.comparison.run_folders import RunFolders


@pytest.fixture
def folders(tmp_path):
    return RunFolders(tmp_path)


def test_what_is_shipped_says_source_and_protocol():
    rows = {(row.name, row.task): row for row in shipped()}
    assert rows["lab's pi0 after RL", "stack_cube"].text == "24/40 [45 %, 74 %]"
    assert rows["RDT-1B", "peg_insertion_side"].text == "13.2 %, n not said"
    assert all(row.source and row.protocol for row in rows.values())


def test_each_stands_beside_the_best_of_its_task(folders):
    folders.write("good", policy=(92, 100))
    folders.write("bad", {"train.seed": 1}, policy=(10, 100))
    pairs = beside(Comparison(collect([folders.root / "sweep"])), shipped())
    assert {each.theirs.task for each in pairs} == {"stack_cube"} and {each.ours.label for each in pairs} == {"good"}
    lab = next(each for each in pairs if each.theirs.n == 40)
    assert lab.verdict.differ and lab.text.startswith("differ (p ")


def test_compare_shows_them_everywhere(folders, capsys, tmp_path):
    folders.write("good", policy=(92, 100))
    own = tmp_path / "own.yaml"
    own.write_text("source: a paper\nprotocol: other cameras\nrows: [{name: theirs, task: stack_cube, percent: 50}]\n")
    place = str(folders.root / "sweep")
    assert main([place, "--published", str(own)]) == 0
    said = capsys.readouterr().out
    assert "lab's pi0 after RL 24/40" in said and "theirs 50.0 %, n not said : good 92/100" in said
    main([place, "--markdown", "--published", str(own)])
    assert "- theirs: a paper; other cameras." in capsys.readouterr().out
    main([place, "--json"])
    published = json.loads(capsys.readouterr().out)["published"]
    assert {row["name"]: row["n"] for row in published} == {"lab's pi0 after RL": 40, "mini-pi0": 200}


@pytest.mark.parametrize(
    "row, said",
    [
        ("{name: a, task: b}", "a percent from 0 to 100"),
        ("{name: a, task: b, k: 3, n: 2}", "0 <= k <= n"),
        ("{name: a, task: b, k: 1.5, n: 2}", "whole numbers"),
        ("{name: a, task: b, percent: 120}", "percent from 0 to 100"),
        ("{name: a, task: b, percent: 12, k: 1, n: 2}", "percent"),
        ("{name: a, rate: 1}", "expected name, task"),
        ("7", "expected name, task"),
    ],
)
def test_a_row_that_makes_no_sense_is_named(row, said):
    with pytest.raises(ValueError, match=rf"own.yaml: row 1.*{said}"):
        parsed(f"source: s\nrows: [{row}]", "own.yaml")


def test_a_file_that_is_none_is_said(tmp_path):
    with pytest.raises(ValueError, match="cannot be read"):
        read(tmp_path / "none.yaml")
    with pytest.raises(ValueError, match="no YAML"):
        parsed("a: [", "x.yaml")
    with pytest.raises(ValueError, match="expected source"):
        parsed("rows: []", "x.yaml")
