"""The README's table of six tasks is what the rows on record make, and nobody's typing."""

import json

import pytest

from benchmarks.six_tasks import END, FILE, README, START, table, with_table


def test_the_readmes_table_is_that_of_the_rows_on_record():
    page = README.read_text()
    assert with_table(page, table(json.loads(FILE.read_text()))) == page


def test_a_row_says_its_rate_its_training_and_the_labs():
    row = {
        "task": "stack_cube", "size": "small", "camera": "wrist", "k": 60, "n": 100, "low": 0.502, "high": 0.691,
        "demos": 400, "corrections": 37, "steps": 4000, "batch_size": 32, "train_seed": 1, "device": "two cores",
        "minutes": {"demos": 41.0, "warm_up": None, "train": 23.5, "eval": 5.0},
    }  # fmt: skip
    line = table([row]).splitlines()[-1]
    assert line == (
        "| stack_cube, `size=small`, `camera=wrist` | **60/100** | 50.2% to 69.1% | 24/40, p 1 | 400 demos and 37 corrections,"
        " 4000 steps of 32, seed 1 | demos 41, train 23.5, eval 5 | two cores |"
    )


@pytest.mark.parametrize("page", ["", START, f"{END}{START}", f"{START}{START}{END}"])
def test_a_page_without_its_two_marks_is_refused(page):
    with pytest.raises(ValueError, match="put them where the table belongs"):
        with_table(page, "")
