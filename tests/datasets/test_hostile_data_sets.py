"""Broken LeRobot data sets: each gets a sentence with its file, episode and frame, exit status 1, and nothing is written.

What a data set may be for training is asked in tests/field; here any verb of `pirig dataset` and `pirig doctor` is asked.
"""

import io
import json
import re
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pirig.cli import main
from pirig.datasets.lerobot.source import LeRobotSource
from pirig.gates import lerobot_files
from tests.datasets.kinova_recordings import BASE, WRIST, write_recording, write_video
from tests.datasets.test_dataset_verb import digests
from tests.field.recordings import column, every, file, info, line, meta, rows

TABLE, FILM = "data/chunk-000/episode_000001.parquet", f"videos/chunk-000/{BASE}/episode_000001.mp4"
V3_TABLE, V3_FILM = "data/chunk-000/file-000.parquet", f"videos/{BASE}/chunk-000/file-000.mp4"
V3_EPISODES = "meta/episodes/chunk-000/file-000.parquet"


def png(mode="RGB", size=(48, 32)) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, "PNG")
    return buffer.getvalue()


def bomb() -> bytes:
    """A PNG of a few bytes that says it is 60,000 x 60,000 px."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"0" * 1000)) + chunk(b"IEND", b"")
    )


def picture(data, frame=5):
    """The picture of a frame of episode 1 is this one; a function changes the one that is there."""

    def change(cells):
        new = data(cells[frame]["bytes"]) if callable(data) else data
        cells[frame] = {"bytes": new, "path": None}
        return cells

    return column(BASE, change)


def gone(name):
    return lambda folder: (folder / name).unlink()


def film(frames=24, fps=10, size=(32, 48), name=FILM):
    return lambda folder: write_video(folder / name, np.zeros((frames, *size, 3), np.uint8), fps)


def v3_rows(**columns):
    """Columns of meta/episodes: a value for episode 1."""

    def apply(folder):
        place = folder / V3_EPISODES
        table = pq.read_table(place).to_pylist()
        for row in table:
            row |= {name.replace("__", "/"): value for name, value in columns.items() if row["episode_index"] == 1}
        pq.write_table(pa.Table.from_pylist(table), place)

    return apply


def of_film(**values):
    return v3_rows(**{f"videos/{BASE}/{name}": value for name, value in values.items()})


def number(name, frame, place, value):
    def change(cells):
        cells[frame][place] = value
        return cells

    return column(name, change)


PICTURES = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
IMAGES, FILMS, NEW, NEW_FILMS = "v2.1", "v2.1 films", "v3.0", "v3.0 films"
CASES = {
    # meta/info.json
    "no info": (IMAGES, gone("meta/info.json"), r"it holds no meta/info\.json"),
    "info cut off": (IMAGES, meta("info.json", lambda data: data[:100]), r"info\.json: line 1 is not valid JSON"),
    "info of nothing": (IMAGES, meta("info.json", b"\0" * 64), r"info\.json: it holds 64 bytes of nothing"),
    "info is a list": (IMAGES, meta("info.json", "[1]"), r"info\.json: it holds \[1\]; expected a JSON object"),
    "info in latin-1": (IMAGES, meta("info.json", '{"a": "\xe9"}'.encode("latin-1")), r"byte 0xe9 in line 1 is no UTF-8"),
    "unknown version": (IMAGES, info(lambda i: i.update(codebase_version="v9.9")), r"info\.json: LeRobot version v9\.9"),
    "no version": (IMAGES, info(lambda i: i.pop("codebase_version")), "LeRobot version None"),
    "no rate": (IMAGES, info(lambda i: i.pop("fps")), r"info\.json: no fps"),
    "a rate of 0": (IMAGES, info(lambda i: i.update(fps=0)), r"fps is 0; expected a number of frames a second"),
    "a rate that lies": (IMAGES, info(lambda i: i.update(fps=30)), r"episode 0.*frames are 0\.1000 s apart, 10 a second"),
    "no features": (IMAGES, info(lambda i: i.update(features={})), r"info\.json: features is \{\}"),
    "a feature without shape": (IMAGES, info(lambda i: i["features"]["action"].pop("shape")), r"no features\.action\.shape"),
    "another width": (IMAGES, info(lambda i: i["features"]["action"].update(shape=[7])), "action has 8 numbers a row; expected 7"),
    "another picture": (IMAGES, info(lambda i: i["features"][BASE].update(shape=[16, 16, 3])), "48 x 32 px; expected 16 x 16 px"),
    "a picture of two sides": (IMAGES, info(lambda i: i["features"][BASE].update(shape=[32, 48])), r"has shape \[32, 48\]"),
    "a feature nobody wrote": (
        IMAGES, info(lambda i: i["features"].update(force={"dtype": "float32", "shape": [3]})), "no column 'force'"),
    "episodes off by one": (IMAGES, info(lambda i: i.update(total_episodes=4)), r"total_episodes is 4, episodes\.jsonl says 3"),
    "frames off by one": (IMAGES, info(lambda i: i.update(total_frames=71)), r"total_frames is 71, episodes\.jsonl says 72"),
    "v3.0 that is v2.1": (IMAGES, info(lambda i: i.update(codebase_version="v3.0")), r"meta/episodes: no \.parquet file there"),
    "v2.1 that is v3.0": (NEW, info(lambda i: i.update(codebase_version="v2.1")), r"meta/episodes\.jsonl: it is not there"),
    # meta/episodes, meta/tasks
    "no episodes": (IMAGES, gone("meta/episodes.jsonl"), r"episodes\.jsonl: it is not there"),
    "episodes empty": (IMAGES, meta("episodes.jsonl", ""), r"episodes\.jsonl: it is empty"),
    "episodes cut off": (IMAGES, meta("episodes.jsonl", lambda data: data[:-20]), r"episodes\.jsonl: line 3 is not valid JSON"),
    "a length off by one": (IMAGES, line(1, length=25), r"episode 1: 24 rows of episode 1, meta/episodes\.jsonl says 25"),
    "a length too short": (IMAGES, line(1, length=23), r"episode 1: 24 rows of episode 1, meta/episodes\.jsonl says 23"),
    "a negative length": (IMAGES, line(1, length=-1), r"line 2: length is -1"),
    "a length of words": (IMAGES, line(1, length="long"), r"line 2: length is 'long'"),
    "an episode twice": (IMAGES, line(2, episode_index=1), r"episode 1: it is there twice"),
    "no number": (IMAGES, line(1, episode_index="gone"), r"line 2: no episode_index"),
    "another sentence": (IMAGES, line(1, tasks=["Sing."]), r"episode 1: its rows' task is .*'Sing\.'"),
    "tasks cut off": (IMAGES, meta("tasks.jsonl", lambda data: data[:-5]), r"tasks\.jsonl: line 1 is not valid JSON"),
    "a task unknown": (IMAGES, column("task_index", lambda v: [9] * len(v)), "episode 1, frame 0: task_index 9 is not in"),
    "v3 episodes cut off": (NEW, file(lambda data: data[:-30], V3_EPISODES), r"file-000\.parquet: damaged or cut off"),
    "v3 episodes empty": (NEW, file(lambda data: b"", V3_EPISODES), r"file-000\.parquet: it is empty"),
    "v3 length off by one": (NEW, v3_rows(length=25), "episode 1: 24 rows of episode 1, meta/episodes says 25"),
    "v3 number of words": (NEW, v3_rows(length=None), "row 1: length is None"),
    "v3 tasks gone wrong": (NEW, file(lambda data: data[:50], "meta/tasks.parquet"), r"tasks\.parquet: damaged or cut off"),
    # data
    "no footer": (IMAGES, file(lambda data: data[:-8]), r"episode_000001\.parquet: damaged or cut off while recording"),
    "half a table": (IMAGES, file(lambda data: data[: len(data) // 2]), r"episode_000001\.parquet: damaged or cut off"),
    "an empty table": (IMAGES, file(lambda data: b""), r"episode_000001\.parquet: it is empty"),
    "text for a table": (IMAGES, file(lambda data: b"<html>429</html>"), r"episode_000001\.parquet: damaged or cut off"),
    "bytes turned": (IMAGES, file(lambda data: data[:3000] + bytes(2000) + data[5000:]), r"episode_000001\.parquet|episode 1"),
    "no table": (IMAGES, gone(TABLE), r"episode 1: the file is not there"),
    "no data at all": (IMAGES, lambda folder: shutil.rmtree(folder / "data"), r"data: no \.parquet file there"),
    "a column gone": (IMAGES, rows(lambda table: table.drop_columns(["action"])), r"000001\.parquet: no column 'action'"),
    "a row gone": (IMAGES, rows(lambda table: table.slice(0, 23)), "episode 1: 23 rows of episode 1"),
    "a row in the middle gone": (
        IMAGES, rows(lambda table: pa.concat_tables([table.slice(0, 9), table.slice(10)])), "frame_index goes from 8 to 10"),
    "a row twice": (
        IMAGES, rows(lambda table: pa.concat_tables([table.slice(0, 24), table.slice(3, 1)])), "frame_index 3 is there 2 times"),
    "an episode nobody names": (
        IMAGES, column("episode_index", lambda values: [7] * len(values)), "episode 7: meta/episodes.jsonl does not name it"),
    "NaN": (IMAGES, number("action", 3, 2, float("nan")), "episode 1, frame 3: number 2 of action is nan"),
    "infinity": (IMAGES, number("observation.state", 23, 0, float("inf")), "episode 1, frame 23: number 0 of observation.state"),
    "ragged rows": (IMAGES, column("action", lambda cells: [*cells[:4], cells[4][:5], *cells[5:]]), "action has 5 numbers"),
    "an empty row": (IMAGES, column("action", lambda cells: [*cells[:4], None, *cells[5:]]), "episode 1, frame 4: action has empty"),
    "words": (
        IMAGES, column("action", lambda cells: ["left"] * len(cells), pa.string()), "action holds string; expected numbers"),
    "times in milliseconds": (IMAGES, column("timestamp", lambda t: [x * 1000 for x in t]), "timestamps are milliseconds"),
    "a time back": (IMAGES, column("timestamp", lambda t: [*t[:7], 0.1, *t[8:]]), "episode 1, frame 7: its timestamp goes back"),
    "frames dropped": (IMAGES, column("timestamp", lambda t: [*t[:7], *(x + 0.4 for x in t[7:])]), "frames were dropped"),
    "v3 footer gone": (NEW, file(lambda data: data[:-8], V3_TABLE), r"file-000\.parquet: damaged or cut off"),
    # pictures
    "a picture cut off": (IMAGES, picture(lambda data: data[:60]), f"episode 1, frame 5: {BASE} is cut off"),
    "no picture": (IMAGES, picture(b"\xff\xd8 no"), f"episode 1, frame 5: {BASE} cannot be decoded"),
    "an empty picture": (IMAGES, picture(None), f"episode 1, frame 5: {BASE} holds"),
    "a grey picture": (IMAGES, picture(png("L")), "episode 1, frame 5: .* picture of mode L"),
    "16 bits": (IMAGES, picture(png("I;16")), "episode 1, frame 5: .* picture of mode I;16"),
    "a smaller picture": (IMAGES, picture(png(size=(24, 32))), "episode 1, frame 5: .* 24 x 32 px"),
    "a bomb": (IMAGES, picture(bomb()), "episode 1, frame 5: .* cannot be decoded .*exceeds limit"),
    "a path out": (IMAGES, column(BASE, lambda cells: [{"bytes": None, "path": "nowhere/0.png"}] * len(cells), PICTURES), "is not there"),
    # films
    "a film cut off": (FILMS, file(lambda data: data[:300], FILM), r"episode_000001\.mp4: PyAV .* cannot decode it"),
    "an empty film": (FILMS, file(lambda data: b"", FILM), r"episode_000001\.mp4: it is empty"),
    "no film": (FILMS, gone(FILM), r"episode_000001\.mp4: episode 1: it is not there"),
    "a film too short": (FILMS, film(frames=23), "episode 1, frame 23: 23 frames, 1 fewer than its 24 rows"),
    "a film too long": (FILMS, film(frames=25), "episode 1, frame 24: 25 frames, 1 more than its 24 rows"),
    "a film of another rate": (FILMS, film(fps=30), "episode 1, frame 1: this frame is shown at 0.033 s"),
    "a film of another size": (FILMS, film(size=(16, 24)), "its pictures are 24 x 16 px"),
    "text for a film": (FILMS, file(lambda data: b"404 not found", FILM), r"episode_000001\.mp4: PyAV .* cannot decode it"),
    "no path of films": (FILMS, info(lambda i: i.update(video_path="{nothing}")), "video_path is '{nothing}'"),
    "v3 films meet": (NEW_FILMS, of_film(from_timestamp=2.0), "episode 1: it starts at 2.000 s, episode 0 ends at 2.400 s"),
    "v3 no place": (NEW_FILMS, of_film(from_timestamp=None), f"episode 1: no place of {BASE} in its film"),
    "v3 no such film": (NEW_FILMS, of_film(file_index=9), r"file-009\.mp4: episode 1: it is not there"),
    "v3 film too short": (NEW_FILMS, film(frames=71, name=V3_FILM), "episode 2, frame 23: 23 frames, 1 fewer"),
    "v3 film too long": (NEW_FILMS, film(frames=74, name=V3_FILM), "2 behind the last"),
}  # fmt: skip


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    top = tmp_path_factory.mktemp("good")
    return {
        name: write_recording(top / name.replace(" ", "_"), version=name.split()[0], video="films" in name)
        for name in (IMAGES, FILMS, NEW, NEW_FILMS)
    }


def test_there_are_enough_of_them():
    assert len(CASES) >= 60


@pytest.mark.parametrize("case", CASES)
def test_a_broken_one_is_refused_with_a_sentence(case, good, tmp_path, capsys):
    kind, change, message = CASES[case]
    source = tmp_path / "source"
    shutil.copytree(good[kind], source)
    change(source)
    before = digests(source)
    assert main(["dataset", "convert", str(source), str(tmp_path / "out"), "--format", "v3.0"]) == 1
    said = capsys.readouterr().err
    assert re.search(message, said), said
    assert "Traceback" not in said and "source" in said and "demos." not in said
    assert digests(source) == before and [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize("kind", [IMAGES, FILMS, NEW, NEW_FILMS])
def test_the_good_ones_pass_every_gate(kind, good):
    gates = lerobot_files.gates(LeRobotSource(good[kind]))
    assert {name: gate() for name, gate in gates.items()} == {name: [] for name in gates}


def stored(name, change):
    """Statistics as `pirig dataset convert` writes them, changed."""

    def apply(folder):
        place = folder / name
        if place.suffix == ".json":
            said = json.loads(place.read_text())
            change(said)
            place.write_text(json.dumps(said))
            return
        lines = [json.loads(text) for text in place.read_text().splitlines()]
        change(lines)
        place.write_text("".join(json.dumps(one) + "\n" for one in lines))

    return apply


DOCTORED = {
    "index starts again": (
        "v2.1", column("index", lambda values: list(range(24))), "rows", "episode 1, frame 0: index is 0; expected 24"),
    "rows of another place": ("v3.0", v3_rows(dataset_from_index=25), "rows", "dataset_from_index and dataset_to_index are"),
    "tasks counted wrongly": ("v2.1", info(lambda i: i.update(total_tasks=2)), "counts", "total_tasks is 2; expected 1"),
    "films counted wrongly": ("v2.1", info(lambda i: i.update(total_videos=5)), "counts", "total_videos is 5; expected 0"),
    "a split outside": ("v3.0", info(lambda i: i.update(splits={"train": "0:9"})), "counts", "splits.train is '0:9'"),
    "no sentence": (
        "v2.1", every(meta("tasks.jsonl", '{"task_index": 0, "task": ""}\n'),
                      meta("episodes.jsonl", lambda data: data.replace(b"Put the mug on the plate.", b""))),
        "sentences", "the sentence of task_index 0 is empty"),
    "a largest that lies": (
        "v3.0", stored("meta/stats.json", lambda said: said["action"]["max"].__setitem__(3, 9.0)), "stored_statistics",
        r"stats\.json: max of number 3 of action is 9, and others normalise by it"),
    "a mean that lies": (
        "v2.1", stored("meta/episodes_stats.jsonl", lambda said: said[1]["stats"]["action"]["mean"].__setitem__(0, 5.0)),
        "stored_statistics", "episode 1: mean of number 0 of action is 5"),
    "no line of statistics": (
        "v2.1", stored("meta/episodes_stats.jsonl", lambda said: said.pop(2)), "stored_statistics", "episode 2: it has no line"),
    "statistics of fewer numbers": (
        "v3.0", stored("meta/stats.json", lambda said: said["action"].update(std=[1.0])), "stored_statistics", "of 1 numbers"),
    "a picture whose end is wrong": (
        "v2.1", picture(lambda data: data[:-60] + bytes(40) + data[-20:]), "frames", "episode 1, frame 5: .*cannot be decoded"),
}  # fmt: skip


@pytest.fixture(scope="module")
def converted(good, tmp_path_factory):
    top = tmp_path_factory.mktemp("converted")
    for version in ("v2.1", "v3.0"):
        assert main(["dataset", "convert", str(good[IMAGES]), str(top / version), "--format", version]) == 0
    return top


@pytest.mark.parametrize("case", DOCTORED)
def test_the_doctor_finds_what_the_door_lets_in(case, converted, tmp_path, capsys):
    version, change, gate, message = DOCTORED[case]
    source = tmp_path / "source"
    shutil.copytree(converted / version, source)
    change(source)
    assert main(["doctor", str(source)]) == 1
    (said,) = [text for text in capsys.readouterr().out.splitlines() if text.startswith(f"WRONG {gate}")]
    assert re.search(message, said), said


def test_both_cameras_of_a_film_are_asked(good, tmp_path):
    shutil.copytree(good[FILMS], tmp_path / "source")
    film(frames=20, name=FILM.replace(BASE, WRIST))(tmp_path / "source")
    (said,) = lerobot_files.gates(LeRobotSource(tmp_path / "source"))["rows"]()
    assert Path(FILM.replace(BASE, WRIST)).as_posix() in said
