"""Every number that a table shows stands there whole: at every width, on a pipe, without UTF-8, beside texts with brackets."""

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from pirig.cli import main
from pirig.comparison.collect import collect
from pirig.comparison.compare import Comparison
from pirig.comparison.terminal import show as show_comparison
from pirig.evaluation.measured import Measured, SuccessRow
from pirig.files import tables
from pirig.files.tables import Column, fold
from pirig.stages.pipeline import _rates
from pirig.sweeps.table import Row, columns
from tests.comparison.run_folders import RunFolders

WIDTHS = (20, 40, 80, 90, 100, 130, 200)
LABEL = "push_cube-pi05-tiny-close-joints-h16-s{}-80dd7123"


def screen(width, encoding="utf-8"):
    written = io.BytesIO()
    file = io.TextIOWrapper(written, encoding=encoding, errors="backslashreplace", write_through=True)
    return Console(file=file, width=width, force_terminal=False), lambda: written.getvalue().decode(encoding)


def numbers(text):
    return set(re.findall(r"\d[\d.,/:%]*", text))


def require_whole(columns, text, left_out=()):
    """Each number of each shown column is in the text."""
    for column in columns:
        if column.name.replace("-\n", "").replace("\n", "") in left_out:
            continue
        missing = {number for cell in column.cells for number in numbers(cell) if number not in text}
        assert not missing, f"{column.name}: {missing} in\n{text}"


STATES = [
    ("done", ""),
    ("running", "process 4711 on node17 since 2026-11-25T10:11:12+0100"),
    ("failed", "ValueError: [wip] 3/4"),
]
SWEEP = [
    Row(
        Path("outputs/sweep", LABEL.format(i)),
        state,
        "train",
        100 * i,
        1_234_567,
        0.8765,
        98_765.0,
        f"{i}/100",
        (),
        note,
    )
    for i, (state, note) in enumerate(STATES)
]
RATES = Measured(
    {
        name: SuccessRow(k, 1000, 0.0625, 0.987, k - 1)
        for name, k in (("policy", 625), ("oracle", 987), ("untrained", 13))
    }
)
TABLES = {
    "runs": columns(SWEEP),
    "summary": _rates("peg_insertion_side", RATES),
    "points": [
        Column("run", [row.folder.name for row in SWEEP], folds=True),
        Column("point", [f"task=push_cube horizon={16 + seed} train.seed={seed}" for seed in range(3)], folds=True),
        Column("asks for", ["gpu8 > gpu1"] * 3, folds=True),
    ],
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("name", TABLES)
def test_what_a_table_shows_is_whole(name, width, encoding):
    console, text = screen(width, encoding)
    left_out = tables.show(console, TABLES[name], name, "say")
    require_whole(TABLES[name], text(), left_out)
    assert all(column in text() for column in left_out)  # it says which
    if left_out:
        assert max(len(line) for line in text().splitlines() if not line.startswith("no room")) <= width
    if encoding == "ascii":
        assert text().isascii() and "\\u" not in text()


def test_columns_go_in_their_order_and_only_where_they_must():
    left_out = {}
    for width in WIDTHS:
        console, _ = screen(width)
        left_out[width] = tables.show(console, TABLES["runs"])
    assert left_out[200] == [] and left_out[20] == []  # so narrow that the rows are lists, with everything in them
    assert set(left_out[100]) <= set(left_out[80]) and left_out[80]


def test_words_fold_at_seams_and_never_inside_a_number():
    assert fold("push_cube-pi05-h16-s0-80dd7123", 10) == "push_cube-\npi05-h16-\ns0-80dd7123"
    for number in ("1,234,567.89", "2026-11-25T10:11:12+0100", "1e-05", "-0.25", "10/100", "1_000", "0-79"):
        assert fold(number, 3) == number


@pytest.fixture
def runs(tmp_path):
    made = RunFolders(tmp_path)
    return [
        made.write(LABEL.format(seed), {"train.seed": seed}, policy=policy)
        for seed, policy in enumerate([(25, 40), (10, 100)])
    ]


@pytest.mark.parametrize("width", WIDTHS)
def test_compare_shows_every_count_whole(runs, width):
    console, text = screen(width)
    show_comparison(Comparison(collect(runs)), console)
    results = text().split("Do they differ?")[0]
    assert re.search(r"(?<!\d)25/40(?!\d)", results) and re.search(r"(?<!\d)10/100(?!\d)", results)


@pytest.mark.parametrize("names", [("base[wip]", "base[bold]"), ("[red]a", "[/]b"), ("a[link=x]", "[b][/b]")], ids=str)
def test_brackets_of_a_name_are_letters(tmp_path, capsys, monkeypatch, names):
    made = RunFolders(tmp_path)
    for name in (one.replace("/", "|") for one in names):
        made.write(name, policy=(1, 2))
    monkeypatch.chdir(tmp_path)
    assert main(["runs", "sweep"]) == 0 and main(["compare", "sweep"]) == 0
    shown = capsys.readouterr().out
    assert all(shown.count(name.replace("/", "|")) >= 2 for name in names)


def test_brackets_of_a_setting_are_letters(capsys):
    assert main(["train", "-m", "state.entries=[qpos9],[qpos8]", "sweep.dry_run=true"]) == 0
    shown = capsys.readouterr().out
    assert "[qpos9]" in shown and "[qpos8]" in shown


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.yaml", "lr: 1\n"),
        ("config.yaml", ""),
        ("config.yaml", "{"),
        ("status.json", '{"stage": "tr'),
        ("jobs.json", "[]"),
        ("eval/step1-abc/rates.json", '{"poli'),
        ("eval/step1-abc/rates.json", "{}"),
        ("metrics.jsonl", '{"step": "a"}\n'),
    ],
)
def test_a_torn_or_foreign_folder_is_left_out_and_named(tmp_path, capsys, file, content):
    made = RunFolders(tmp_path)
    made.write("good", policy=(1, 2))
    path = made.write("bad") / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    assert main(["runs", str(tmp_path / "sweep")]) == 0
    shown = capsys.readouterr().out
    assert "sweep/good" in shown and f"left out: {tmp_path}/sweep/bad (" in shown and "1 run:" in shown


def test_a_single_run_that_is_torn_is_named_too(tmp_path, capsys):
    bad = RunFolders(tmp_path).write("bad")
    (bad / "status.json").write_text(json.dumps([1]))
    assert main(["runs", str(bad)]) == 0
    assert "left out" in capsys.readouterr().out
