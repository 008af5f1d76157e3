"""What others write into meta/: one sentence with file, what stands there and what to do, the same from every command."""

import codecs
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pirig.config.load import compose
from pirig.datasets.lerobot.source import LeRobotSource
from pirig.datasets.make import make_demos
from tests.datasets.kinova_recordings import BASE, PROMPT
from tests.field.recordings import every, info, line, meta, recording, refusals, rows, table_of

INFO = [
    (info(lambda said: said.pop("fps")), r"info\.json: no fps; expected a number of frames .*correct it there"),
    (info(lambda said: said.update(fps=None)), r"fps is None; expected a number"),
    (info(lambda said: said.update(fps="10")), r"fps is '10'; expected a number"),
    (info(lambda said: said.update(fps=0)), r"fps is 0; expected a number"),
    (info(lambda said: said.update(fps=-10)), r"fps is -10; expected"),
    (info(lambda said: said.update(fps=float("nan"))), r"fps is nan; expected"),
    (info(lambda said: said.update(fps=True)), r"fps is True; expected"),
    (info(lambda said: said.update(fps=[10])), r"fps is \[10\]; expected"),
    (info(lambda said: said.pop("features")), r"no features; expected an entry with dtype and shape"),
    (info(lambda said: said.update(features=[])), r"features is \[\]; expected"),
    (info(lambda said: said.update(features={})), r"features is {}; expected"),
    (info(lambda said: said["features"]["action"].pop("dtype")), r"no features\.action\.dtype; expected a type"),
    (info(lambda said: said["features"]["action"].update(dtype=32)), r"features\.action\.dtype is 32; expected"),
    (info(lambda said: said["features"]["action"].pop("shape")), r"no features\.action\.shape; expected a list"),
    (info(lambda said: said["features"]["action"].update(shape=None)), r"features\.action\.shape is None; expected"),
    (info(lambda said: said["features"]["action"].update(shape=8)), r"features\.action\.shape is 8; expected a list"),
    (info(lambda said: said["features"]["action"].update(shape=["8"])), r"action\.shape is \['8'\]; expected a list"),
    (info(lambda said: said["features"]["action"].update(shape=[-8])), r"action\.shape is \[-8\]; expected a list"),
    (info(lambda said: said["features"].update(action="float32")), r"features\.action is 'float32'"),
    (info(lambda said: said["features"][BASE].update(shape=[32, 48], names=None)), r"base has shape \[32, 48\]"),
    (info(lambda said: said["features"][BASE].update(shape=[32, 48, 9])), r"shape \[32, 48, 9\].*expected \[height, width"),
    (info(lambda said: said.pop("codebase_version")), r"LeRobot version None; expected one of v2\.0, v2\.1, v3\.0"),
    (info(lambda said: said.update(codebase_version="v9.0")), r"LeRobot version v9\.0; expected"),
    (info(lambda said: said.update(codebase_version=2.1)), r"LeRobot version 2\.1; expected"),
    (info(lambda said: said.update(total_episodes="3")), r"total_episodes is '3'; expected a whole number"),
    (info(lambda said: said.update(total_episodes=4)), r"total_episodes is 4, episodes\.jsonl says 3 episodes \(no line for episode 3"),
    (info(lambda said: said.update(total_episodes=10**300)), r"total_episodes is 1000+\.\.\.; expected a whole number"),
    (info(lambda said: said.update(total_frames=70)), r"total_frames is 70, episodes\.jsonl says 72 frames"),
    (info(lambda said: said.update(chunks_size=0)), r"chunks_size is 0; expected a whole number from 1"),
    (info(lambda said: said.update(data_path=7)), r"data_path is 7; expected a path"),
    (meta("info.json", b""), r"info\.json: it is empty; copy the file again"),
    (meta("info.json", lambda data: data[:90]), r"info\.json: line 1 is not valid JSON .*copy the file again"),
    (meta("info.json", b"null"), r"info\.json: it holds None; expected a JSON object"),
    (meta("info.json", b"[]"), r"info\.json: it holds \[\]; expected a JSON object"),
    (meta("info.json", b"\x00" * 400), r"info\.json: it holds 400 bytes of nothing"),
]  # fmt: skip
LINES = [
    (meta("episodes.jsonl", b""), r"episodes\.jsonl: it is empty"),
    (meta("episodes.jsonl", lambda data: data[:-9]), r"episodes\.jsonl: line 3 is not valid JSON"),
    (meta("episodes.jsonl", lambda data: data + b"null\n"), r"episodes\.jsonl: line 4 holds None; expected a JSON object"),
    (meta("episodes.jsonl", lambda data: data + data.splitlines()[1]), r"episode 1: it is there twice; .*remove one"),
    (line(1, length="24"), r"episodes\.jsonl: line 2: length is '24'; expected its number of frames"),
    (line(1, length=-1), r"line 2: length is -1; expected"),
    (line(1, length=24.5), r"line 2: length is 24\.5; expected"),
    (line(1, length="gone"), r"line 2: no length; expected"),
    (line(1, episode_index="gone"), r"line 2: no episode_index; expected a whole number"),
    (line(1, episode_index=None), r"line 2: episode_index is None; expected"),
    (line(1, tasks=7), r"line 2: tasks is 7; expected a list of sentences"),
    (line(1, tasks=["Something else"]), r"episode_000001\.parquet: episode 1: its rows' task is .*'Something else'"),
    (every(rows(lambda table: table.slice(0, 1)), line(1, length=1)), r"episode 1: 1 episodes have fewer than 2 frames.*demos\.leave_out=\[1\]"),
    (every(rows(lambda table: table.slice(0, 0)), line(1, length=0)), r"episode 1: 1 episodes have fewer than 2 frames"),
    (line(2, length=10**15), r"episode 2: 24 rows of episode 2, .* says 1000000000000000; the recording was cut off"),
    (every(meta("episodes.jsonl", lambda data: b"\n".join(data.splitlines()[:2])), info(lambda said: said.pop("total_episodes"))),
     r"episode_000002\.parquet: episode 2: meta/episodes\.jsonl does not name it.*give demos\.leave_out=\[2\]"),
    (meta("tasks.jsonl", '{"task_index": 0, "task": "Put the'), r"tasks\.jsonl: line 1 is not valid JSON"),
    (meta("tasks.jsonl", '{"task_index": 0, "task": "für"}'.encode("latin-1")), r"byte 0xfc in line 1 is no UTF-8; save it as UTF-8"),
    (meta("tasks.jsonl", b"null"), r"tasks\.jsonl: line 1 holds None"),
    (meta("tasks.jsonl", b'{"task_index": 0, "task": ["a"]}'), r"line 1: task is \['a'\]; expected a sentence"),
    (meta("tasks.jsonl", b'{"task": "a"}'), r"line 1: no task_index; expected"),
    (meta("tasks.jsonl", b'{"task_index": 0, "task": "a"}\n{"task_index": 0, "task": "b"}'), r"task_index 0 is 'a' and 'b'"),
    (meta("tasks.jsonl", b'{"task_index": 4, "task": "a"}'), r"episode 0, frame 0: task_index 0 is not in tasks\.jsonl; expected one of 4"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "says"), INFO + LINES, ids=[says[:60] for _, says in INFO + LINES])
def test_every_command_says_the_same_sentence_and_writes_nothing(kinova, tmp_path, change, says):
    folder = recording(tmp_path / "mugs", change)
    demos, convert, inspect, doctor = refusals(kinova, folder, tmp_path / "out")
    assert re.search(says, demos), demos
    assert str(folder) in demos and demos == convert == inspect == doctor


def test_a_config_that_leaves_the_prompt_open_says_it_too(tmp_path):
    folder = recording(tmp_path / "mugs", info(lambda said: said.pop("fps")))
    with pytest.raises(ValueError, match=r"info\.json: no fps; expected a number"):
        compose(["task=kinova", f"demos.path={folder}"])


TASKS_V3 = [
    {"split": ["train"], "task_index": [0], "task": [PROMPT]},
    {"__index_level_0__": [PROMPT], "task_index": [0]},
    {"task_index": [0], "instruction": [PROMPT]},
]


@pytest.mark.parametrize("columns", TASKS_V3, ids=lambda columns: next(iter(columns)))
def test_the_sentence_is_taken_by_name_and_not_from_the_first_column(tmp_path, columns):
    folder = recording(tmp_path / "mugs", version="v3.0")
    pq.write_table(pa.table(columns), folder / "meta/tasks.parquet")
    assert compose(["task=kinova", f"demos.path={folder}"]).task.prompt == PROMPT


def test_two_columns_of_text_are_no_task(kinova, tmp_path):
    folder = recording(tmp_path / "mugs", version="v3.0")
    pq.write_table(pa.table({"a": ["x"], "b": ["y"], "task_index": [0]}), folder / "meta/tasks.parquet")
    assert len(set(refusals(kinova, folder, tmp_path / "out"))) == 1
    with pytest.raises(
        ValueError, match=r"tasks\.parquet: which column holds the sentences cannot be told \(it has a, b"
    ):
        LeRobotSource(folder)


@pytest.mark.parametrize("mark", [codecs.BOM_UTF8, None], ids=["byte order mark", "UTF-16"])
def test_text_of_other_systems_is_read(tmp_path, mark):
    prompt = "Stell die Tasse auf den Teller, für später: 把杯子放下"
    folder = recording(tmp_path / "mugs", task=prompt)
    for name in ("info.json", "tasks.jsonl", "episodes.jsonl"):
        file = folder / "meta" / name
        text = file.read_text()
        file.write_bytes(mark + text.encode() if mark else text.encode("utf-16"))
    assert compose(["task=kinova", f"demos.path={folder}"]).task.prompt == prompt


@pytest.mark.parametrize(
    "change",
    [
        info(lambda said: said["features"][BASE].update(names=["h", "w", "c"])),
        info(lambda said: said["features"][BASE].update(shape=[3, 32, 48], names=["channels", "height", "width"])),
        info(lambda said: said["features"][BASE].update(shape=[3, 32, 48], names=["height", "width", "channels"])),
        info(lambda said: said["features"][BASE].update(shape=[48, 32, 3], names=["width", "height", "channel"])),
        info(lambda said: said["features"]["action"].update(names={"motors": [f"joint_{n}" for n in range(8)]})),
        info(lambda said: said["features"]["action"].update(names=[[f"joint_{n}" for n in range(8)]])),
        info(lambda said: said["features"]["action"].update(names={f"joint_{n}": n for n in range(8)})),
        info(lambda said: said.update(fps=10.0, total_episodes=3.0)),
        info(lambda said: [said.pop(key) for key in ("data_path", "video_path", "total_frames", "robot_type", "chunks_size")]),
        line(1, tasks=PROMPT, length=24.0),
        info(lambda said: said.update(data_path="data/{episode_chunk:06d}/ep{episode_index}.parquet")),
    ],
)  # fmt: skip
def test_other_ways_to_say_the_same_are_understood(kinova, tmp_path, change):
    from tests.field.recordings import pointed

    config = pointed(kinova, recording(tmp_path / "mugs", change), tmp_path / "out")
    from pirig.config.places import places_of

    assert make_demos(config, places_of(config)) == tmp_path / "mugs"


def test_a_fault_of_one_episode_is_passed_over_where_it_is_left_out(tmp_path):
    folder = recording(tmp_path / "mugs", rows(lambda table: table.slice(0, 20)))
    source = LeRobotSource(folder)
    with pytest.raises(ValueError, match=r"20 rows of episode 1.*cut off after frame 19.*demos\.leave_out=\[1\]"):
        source.examine()
    table_of(folder).write_bytes(b"")
    with pytest.raises(ValueError, match=r"episode_000001\.parquet: it is empty"):
        LeRobotSource(folder).examine()
    table_of(folder).unlink()
    assert LeRobotSource(folder).examine([1]) == []
