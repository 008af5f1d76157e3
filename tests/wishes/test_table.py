"""The wish table tells the truth: its rows name files that are there, and a test that proves each."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WISHES = ["task", "robot", "camera moved", "camera new", "state", "schedule", "resize", "tower", "label", "loss"]
WISHES.append("simulator")
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in (ROOT / "docs" / "wishes.md").read_text().splitlines()
    if re.match(r"\| \*\*", line)
]


def test_every_wish_has_a_row():
    assert [wish.strip("*") for wish, _, _ in ROWS] == WISHES


@pytest.mark.parametrize(("wish", "touched", "proof"), ROWS, ids=WISHES)
def test_a_row_names_files_that_are_there_and_a_test(wish, touched, proof):
    paths = re.findall(r"`((?:conf|src)/[^`]+)`", touched)
    assert paths, f"{wish}: the row names no file"
    for path in paths:
        new = "NAME" in path  # a file that the stranger adds: its folder is there, and others like it
        assert list(ROOT.glob(path.replace("NAME", "*"))) if new else (ROOT / path).is_file(), f"{wish}: no {path}"
    ((file, function),) = re.findall(r"`(tests/wishes/\w+\.py)::(\w+)`", proof)
    assert f"\ndef {function}(" in (ROOT / file).read_text(), f"{wish}: {file} has no {function}"
