"""Rows, numbers, times and pictures of others: put in order where the file says the order, else refused with the frame."""

import io
import re
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pirig.config.places import places_of
from pirig.datasets.lerobot.read import Dataset
from pirig.datasets.lerobot.source import LeRobotSource
from pirig.stages import convert
from tests.datasets.kinova_recordings import BASE, make_recording
from tests.field.recordings import (
    column,
    every,
    file,
    frames,
    info,
    line,
    pointed,
    recording,
    refusals,
    rows,
    table_of,
)

STATE, ACTION = "observation.state", "action"
LISTS = pa.list_(pa.float32())
CELLS = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
REPAIR = r"demos\.leave_out=\[1\]"


def changed(number: int, value) -> object:
    return lambda values: [*values[:number], value, *values[number + 1 :]]


def picture(mode: str = "RGB", size=(48, 32), kind: str = "PNG", cut: int = 0) -> dict:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, kind)
    data = buffer.getvalue()
    return {"bytes": data[: len(data) - cut], "path": None}


NUMBERS = [
    (column(ACTION, changed(5, [0.1, 0.2]), LISTS), rf"episode 1, frame 5: action has 2 numbers; expected 8.*{REPAIR}"),
    (column(STATE, changed(7, None), LISTS), rf"episode 1, frame 7: observation\.state has empty rows.*{REPAIR}"),
    (column(STATE, changed(7, []), LISTS), r"frame 7: observation\.state has 0 numbers; expected 8"),
    (column(STATE, lambda values: [one[:7] for one in values]), r"episode 1: observation\.state has 7 numbers a row; expected 8"),
    (column(STATE, lambda values: [one[0] for one in values], pa.float32()), r"observation\.state has 1 numbers a row; expected 8"),
    (column(STATE, changed(3, [np.nan] * 8)), r"episode 1, frame 3: number 0 of observation\.state is nan; expected a finite"),
    (column(ACTION, changed(3, [0.0] * 7 + [np.inf])), r"episode 1, frame 3: number 7 of action is inf"),
    (column(ACTION, changed(9, [0.0] * 7 + [-3e38])), r"episode 1, frame 9: number 7 of action is -3e\+38; expected a finite number up to"),
    (column(ACTION, lambda values: [" ".join(map(str, one)) for one in values], pa.string()), r"episode 1: action holds string; expected numbers"),
    (column(ACTION, lambda values: [{"j1": 1.0} for _ in values], pa.struct([("j1", pa.float32())])), r"action holds struct<j1: float"),
    (rows(lambda table: table.drop([ACTION])), r"episode_000001\.parquet: no column 'action'; expected one of"),
    (rows(lambda table: table.rename_columns(["states" if name == STATE else name for name in table.column_names])),
     r"no column 'observation\.state'; expected one of states"),
]  # fmt: skip
ROWS = [
    (rows(lambda table: table.slice(0, 20)), rf"20 rows of episode 1, .* says 24; the recording was cut off after frame 19; .*{REPAIR}"),
    (rows(lambda table: table.slice(0, 0)), r"0 rows of episode 1, meta/episodes\.jsonl says 24"),
    (rows(lambda table: table.filter(pa.array(~np.isin(frames(table), range(12, 16))))),
     rf"episode 1, frame 11: frame_index goes from 11 to 16, frames 12 to 15 are missing; .*{REPAIR}"),
    (column("frame_index", lambda values: [n + 28 * (n > 12) for n in values]), r"frame_index goes from 12 to 41, frames 13 to 40 are missing"),
    (column("frame_index", changed(9, 8)), r"episode 1, frame 8: frame_index 8 is there 2 times; expected every frame once"),
    (rows(lambda table: pa.concat_tables([table, table])), r"frame 0: frame_index 0, 1, 2, .* is there 2 times"),
    (column("frame_index", lambda values: [n + 1 for n in values]), r"episode 1, frame 1: frame_index starts at 1; expected 0"),
    (column("frame_index", changed(4, 4.5), pa.float64()), r"frame_index is 4\.5 in row 4; expected a whole number"),
    (column("episode_index", lambda values: [7] * len(values)), r"episode 7: meta/episodes\.jsonl does not name it"),
    (column("task_index", changed(6, 3)), r"episode 1, frame 6: task_index 3 is not in tasks\.jsonl; expected one of 0"),
    (line(1, length=22), r"episode_000001\.parquet: episode 1: 24 rows of episode 1, .* says 22; correct the length"),
    (file(lambda data: data[:-200]), r"episode_000001\.parquet: damaged or cut off while recording"),
    (file(lambda data: b""), r"episode_000001\.parquet: it is empty"),
    (file(lambda data: b"not a table" * 20), r"episode_000001\.parquet: damaged or cut off"),
    (lambda folder: [table_of(folder).unlink(), (folder / "data/chunk-000/episode_000001.parquet").mkdir()],
     r"episode_000001\.parquet: it is a folder; expected a whole \.parquet file"),
    (rows(lambda table: table.append_column(STATE, table[STATE])), r"column 'observation\.state' is there 2 times; expected every column once"),
    (lambda folder: table_of(folder).unlink(), r"episode_000001\.parquet: episode 1: the file is not there; copy it again"),
    (lambda folder: shutil.rmtree(folder / "data"), r"data: no \.parquet file there"),
    (lambda folder: shutil.copy(table_of(folder, 0), table_of(folder, 1)), r"episode 0, frame 0: frame_index 0, 1, .* is there 2 times"),
]  # fmt: skip
TIMES = [
    (lambda n: 0 * n, r"episode 1: all its timestamps are 0, so they tell no time; .*demos\.times=ignore"),
    (lambda n: 100.0 * n, r"its timestamps are milliseconds \(0, 100, \.\.\.\); expected seconds: .*divide the column by 1000"),
    (lambda n: 1e5 * n, r"its timestamps are microseconds"),
    (lambda n: 1e8 * n, r"its timestamps are nanoseconds"),
    (lambda n: 1.7e9 + n / 10, r"seconds since 1970 kept as float32 .*subtract the first one before they become float32"),
    (lambda n: n / 10 + 0.2 * (n > 5), r"frame 6: 0\.3000 s pass between frames 5 and 6; expected .*frames were dropped"),
    (lambda n: n / 30, r"its frames are 0\.0333 s apart, 30 a second; expected .*correct fps there"),
    (lambda n: n / 10 - 0.5 * (n > 9), r"frame 10: its timestamp goes back from 0\.9000 to 0\.5000 s"),
    (lambda n: np.where(n == 4, np.nan, n / 10), r"frame|episode 1, frame 4: its timestamp is nan; expected a number of seconds"),
]  # fmt: skip
TIMES = [(column("timestamp", lambda values, to=to: to(np.arange(len(values))).tolist()), says) for to, says in TIMES]
PICTURES = [
    (column(BASE, changed(5, picture(cut=30))), r"episode 1, frame 5: observation\.images\.base is cut off and cannot be decoded"),
    (column(BASE, changed(5, picture(kind="JPEG", cut=90))), r"frame 5: observation\.images\.base .*cut off|cannot be decoded"),
    (column(BASE, changed(5, {"bytes": b"no picture" * 9, "path": None})), r"frame 5: observation\.images\.base cannot be decoded"),
    (column(BASE, changed(5, {"bytes": None, "path": None})), r"frame 5: observation\.images\.base holds .*expected a picture's bytes"),
    (column(BASE, changed(5, None)), r"frame 5: observation\.images\.base holds None"),
    (column(BASE, changed(5, {"bytes": None, "path": "images/gone.png"}), CELLS), r"frame 5: the picture images/gone\.png of .* is not there"),
    (column(BASE, changed(5, picture("L"))), r"frame 5: observation\.images\.base is a picture of mode L; expected 8-bit colour"),
    (column(BASE, changed(5, picture("I;16"))), r"is a picture of mode I;16; expected 8-bit colour .*camera\.entries\.<camera>\.sensor"),
    (column(BASE, changed(5, picture(size=(64, 48)))), r"frame 5: observation\.images\.base is 64 x 48 px; expected 48 x 32 px, as meta/info"),
    (rows(lambda table: table.drop([BASE])), r"episode_000001\.parquet: no column 'observation\.images\.base'"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "says"),
    NUMBERS + ROWS + TIMES + PICTURES,
    ids=[one[1][:60] for one in NUMBERS + ROWS + TIMES + PICTURES],
)
def test_every_command_says_the_same_sentence_and_writes_nothing(kinova, tmp_path, change, says):
    folder = recording(tmp_path / "mugs", change)
    demos, convert_, inspect, doctor = refusals(kinova, folder, tmp_path / "out")
    assert re.search(says, demos), demos
    assert str(folder) in demos and demos == convert_ == inspect == doctor


def taken(kinova, folder, out) -> Dataset:
    config = pointed(kinova, folder, out)
    return Dataset(convert.make(config, places_of(config)))


def require_true(dataset: Dataset) -> None:
    """Numbers and pictures of each row are those that were recorded."""
    for number in range(3):
        told, span = make_recording(number), dataset.episode_rows(number)
        np.testing.assert_allclose(dataset.actions[span], told[ACTION], atol=1e-6)
        np.testing.assert_allclose(dataset.state[span], told[STATE], atol=1e-6)
        for step in (0, 13, 23):
            np.testing.assert_array_equal(dataset.image("base_0_rgb", dataset.offsets[number] + step), told[BASE][step])


def shuffled(table: pa.Table) -> pa.Table:
    return table.take(pa.array(np.random.default_rng(0).permutation(len(table))))


@pytest.mark.parametrize("version", ["v2.0", "v2.1", "v3.0"])
@pytest.mark.parametrize("without", [[], ["timestamp"], ["frame_index", "timestamp"]], ids=str)
def test_rows_out_of_order_are_put_in_order(kinova, tmp_path, capsys, version, without):
    """By frame_index, and by index where there is none."""
    change = rows(lambda table: shuffled(table.drop(without)))
    require_true(taken(kinova, recording(tmp_path / "mugs", change, version=version), tmp_path / "out"))
    assert "rows that lie out of order were put into that of their frame_index" in capsys.readouterr().err


def split(folder, *, at: int):
    """v3.0 with the rows from `at` on in a second file, as LeRobot's converter leaves them; meta/ says the first one."""
    whole = pq.read_table(folder / "data/chunk-000/file-000.parquet")
    pq.write_table(whole.slice(0, at), folder / "data/chunk-000/file-000.parquet")
    pq.write_table(whole.slice(at), folder / "data/chunk-000/file-001.parquet")


@pytest.mark.parametrize("at", [24, 30, 48], ids=["an episode's boundary", "within an episode", "the last episode"])
def test_an_episode_in_another_file_than_meta_says_is_found(kinova, tmp_path, capsys, at):
    folder = recording(tmp_path / "mugs", lambda folder: split(folder, at=at), version="v3.0")
    require_true(taken(kinova, folder, tmp_path / "out"))
    assert "episodes lie in other files than meta/ says" in capsys.readouterr().err


def test_files_of_another_template_are_found(kinova, tmp_path):
    def move(folder):
        for number, path in enumerate(sorted(folder.glob("data/*/*.parquet"))):
            (folder / f"data/part{number}").mkdir()
            path.rename(folder / f"data/part{number}/rows.parquet")

    require_true(taken(kinova, recording(tmp_path / "mugs", move), tmp_path / "out"))


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float64()), pa.list_(pa.float32(), 8), pa.large_list(pa.float32())], ids=str
)
def test_numbers_of_other_types_are_the_same_numbers(kinova, tmp_path, kind):
    change = every(*(column(name, list, kind, episode) for name in (STATE, ACTION) for episode in range(3)))
    require_true(taken(kinova, recording(tmp_path / "mugs", change), tmp_path / "out"))


def test_whole_numbers_and_nested_lists_are_numbers(tmp_path):
    nested = pa.list_(pa.list_(pa.float64()))
    change = every(
        column(STATE, lambda values: [[1] * 8 for _ in values], pa.list_(pa.int64())),
        column(ACTION, lambda values: [[one] for one in values], nested),
    )
    source = LeRobotSource(recording(tmp_path / "mugs", change))
    assert (source.numbers(source.episodes[1], [STATE]) == 1).all()
    np.testing.assert_allclose(source.numbers(source.episodes[1], [ACTION]), make_recording(1)[ACTION], atol=1e-6)


def test_pictures_that_lie_beside_the_table_are_read(kinova, tmp_path):
    def aside(folder):
        for episode in range(3):
            cells = pq.read_table(table_of(folder, episode))[BASE].to_pylist()
            for step, cell in enumerate(cells):
                path = folder / f"images/base/{episode}/{step}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(cell["bytes"])
            paths = [{"bytes": None, "path": f"images/base/{episode}/{step}.png"} for step in range(len(cells))]
            column(BASE, lambda values, paths=paths: paths, CELLS, episode)(folder)

    require_true(taken(kinova, recording(tmp_path / "mugs", aside), tmp_path / "out"))


def test_times_that_the_user_knows_to_be_wrong_are_passed_over(kinova, tmp_path):
    from dataclasses import replace

    change = every(*(column("timestamp", lambda values: [0.0] * len(values), episode=one) for one in range(3)))
    config = pointed(kinova, recording(tmp_path / "mugs", change), tmp_path / "out")
    config = replace(config, demos=replace(config.demos, times="ignore"))
    require_true(Dataset(convert.make(config, places_of(config))))


def test_epoch_times_that_keep_the_rate_are_right_and_said(kinova, tmp_path, capsys):
    change = every(
        *(
            column("timestamp", lambda values: [1.7e9 + n / 10 for n in range(len(values))], pa.float64(), one)
            for one in range(3)
        )
    )
    require_true(taken(kinova, recording(tmp_path / "mugs", change), tmp_path / "out"))
    assert "timestamps count from 1700000000 s (since 1970)" in capsys.readouterr().err


def test_info_and_rows_of_another_width_disagree(kinova, tmp_path):
    change = info(lambda said: said["features"]["action"].update(shape=[7]))
    says = refusals(kinova, recording(tmp_path / "mugs", change), tmp_path / "out")
    assert len(set(says)) == 1 and "episode 0: action has 8 numbers a row; expected 7" in says[0]
