"""Films of others: as many frames as rows, at the rows' times, of one size and colour; else refused before one is decoded."""

import json
import re

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pirig.config.places import places_of
from pirig.datasets.lerobot.read import Dataset
from pirig.stages import convert
from tests.datasets.kinova_recordings import BASE, WRIST, make_recording, write_video
from tests.field.recordings import info, pointed, recording, refusals

FILM = f"videos/chunk-000/{BASE}/episode_000001.mp4"
FILM_V3 = f"videos/{BASE}/chunk-000/file-000.mp4"
FRAMES = make_recording(1)[BASE]
ALL = np.concatenate([make_recording(seed)[BASE] for seed in range(3)])


def film(frames, fps=10, name=FILM):
    return lambda folder: write_video(folder / name, frames, fps)


def twice(frames, at):
    return np.concatenate([frames[: at + 1], frames[at:]])


def data(change, name=FILM):
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


def grey(folder):
    with av.open(str(folder / FILM), "w") as container:
        stream = container.add_stream("ffv1" if "ffv1" in av.codecs_available else "libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "gray"
        for frame in FRAMES:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame[..., 0], format="gray")))
        container.mux(stream.encode())


def places(change):
    def apply(folder):
        file = folder / "meta/episodes/chunk-000/file-000.parquet"
        rows = pq.read_table(file).to_pylist()
        change(rows)
        pq.write_table(pa.Table.from_pylist(rows), file)

    return apply


V2 = [
    (film(twice(FRAMES, 9)), r"episode_000001\.mp4: episode 1, frame 24: 25 frames, 1 more than its 24 rows.*expected 24 frames.*leave_out=\[1\]"),
    (film(FRAMES[:20]), r"episode 1, frame 20: 20 frames, 4 fewer than its 24 rows"),
    (film(FRAMES, 30), r"frame 1: this frame is shown at 0\.033 s; the film has 30 frames a second; expected 0\.100 s"),
    (film(FRAMES[:, :16]), r"episode 1: its pictures are 48 x 16 px; expected 48 x 32 px, as meta/info\.json says; correct features"),
    (grey, r"episode 1: its pictures are gray \(8 bits, 1 colours\); expected 8-bit colour"),
    (data(lambda whole: b""), r"episode_000001\.mp4: it is empty; copy the file again"),
    (data(lambda whole: whole[: len(whole) // 2]), r"episode_000001\.mp4: PyAV .* cannot decode it"),
    (data(lambda whole: b"no film" * 100), r"episode_000001\.mp4: PyAV .* cannot decode it .*copy the file again"),
    (lambda folder: (folder / FILM).unlink(), r"episode_000001\.mp4: episode 1: it is not there, though meta/ names it.*leave_out=\[1\]"),
    (info(lambda said: said.update(video_path="videos/{camera}.mp4")), r"info\.json: video_path is .*expected a path such as videos"),
    (info(lambda said: said.update(video_path="videos/chunk-000/{video_key}/episode_000001.mp4")), r"episodes 0 and 1 have the same film"),
]  # fmt: skip
V3 = [
    (film(twice(ALL, 9), name=FILM_V3), r"file-000\.mp4: episode 2, frame 24: 73 frames, 72 of them of its 3 episodes, 1 behind the last"),
    (film(ALL[:70], name=FILM_V3), r"episode 2, frame 22: 22 frames, 2 fewer than its 24 rows"),
    (places(lambda rows: rows[1].update({f"videos/{BASE}/from_timestamp": 0.0})), r"episode 1: it starts at 0\.000 s, episode 0 ends at 2\.400 s"),
    (places(lambda rows: [row.update({f"videos/{BASE}/to_timestamp": row[f"videos/{BASE}/from_timestamp"] + 3.0}) for row in rows]),
     r"episode 0: its part lasts 3\.000 s \(30 frames\); expected 24 frames"),
    (places(lambda rows: [row.pop(f"videos/{BASE}/from_timestamp") for row in rows]), r"episode 0: no place of observation\.images\.base in its film"),
    (places(lambda rows: rows[2].update({f"videos/{BASE}/file_index": 4})), r"file-004\.mp4: episode 2: it is not there, though meta/ names it"),
]  # fmt: skip
CASES = [("v2.1", *case) for case in V2] + [("v3.0", *case) for case in V3]


@pytest.mark.parametrize(("version", "change", "says"), CASES, ids=[says[:60] for _, _, says in CASES])
def test_every_command_says_the_same_sentence_and_writes_nothing(kinova, tmp_path, version, change, says):
    folder = recording(tmp_path / "mugs", change, video=True, version=version)
    demos, convert_, inspect, doctor = refusals(kinova, folder, tmp_path / "out")
    assert re.search(says, demos), demos
    assert demos == convert_ == inspect == doctor


def test_a_bad_film_is_passed_over_where_its_episode_is_left_out(kinova, tmp_path):
    from dataclasses import replace

    folder = recording(tmp_path / "mugs", film(twice(FRAMES, 9)), video=True)
    config = pointed(kinova, folder, tmp_path / "out")
    config = replace(config, demos=replace(config.demos, leave_out=[1]))
    assert Dataset(convert.make(config, places_of(config))).seeds == [0, 2]


def test_films_below_another_template_are_found_by_their_name(kinova, tmp_path):
    def move(folder):
        for path in sorted((folder / "videos/chunk-000").iterdir()):
            path.rename(folder / "videos" / path.name)

    folder = recording(tmp_path / "mugs", move, video=True)
    config = pointed(kinova, folder, tmp_path / "out")
    dataset = Dataset(convert.make(config, places_of(config)))
    apart = [
        np.abs(dataset.image("left_wrist_0_rgb", 30).astype(int) - frame).mean() for frame in make_recording(1)[WRIST]
    ]
    assert int(np.argmin(apart)) == 6


def test_a_part_of_a_film_that_belongs_to_nobody_is_none_of_a_fault(kinova, tmp_path):
    """v3.0 after an episode was taken out of meta/ and of the rows: its pictures stay between those of the others."""

    def without_the_second(folder):
        for name in ("meta/episodes/chunk-000/file-000.parquet", "data/chunk-000/file-000.parquet"):
            table = pq.read_table(folder / name)
            pq.write_table(table.filter(pa.array(np.asarray(table["episode_index"]) != 1)), folder / name)
        said = json.loads((folder / "meta/info.json").read_text()) | {"total_episodes": 2, "total_frames": 48}
        (folder / "meta/info.json").write_text(json.dumps(said))

    folder = recording(tmp_path / "mugs", without_the_second, video=True, version="v3.0")
    config = pointed(kinova, folder, tmp_path / "out")
    dataset = Dataset(convert.make(config, places_of(config)))
    assert dataset.seeds == [0, 2]
    apart = [np.abs(dataset.image("base_0_rgb", 34).astype(int) - frame).mean() for frame in make_recording(2)[BASE]]
    assert int(np.argmin(apart)) == 10
