"""Small data sets as LeRobot's recorders leave them for a Kinova Gen3: v2.1 and v3.0, images in the table or as videos."""

import io
import json
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from pirig.config.places import places_of
from pirig.config.schema import Config
from pirig.stages import convert

WIDTH, HEIGHT, FPS = 48, 32, 10
BASE, WRIST = "observation.images.base", "observation.images.wrist"
PROMPT = "Put the mug on the plate."


def make_recording(seed: int, steps: int = 24) -> dict[str, np.ndarray]:
    """One episode: joints drift smoothly, actions lead by a step, the gripper starts open (0) and closes (1)."""
    rng = np.random.default_rng(seed)
    time = np.arange(steps + 1)[:, None] / steps
    joints = rng.uniform(-1, 1, 7) + 0.6 * np.sin(2 * time + rng.uniform(0, 6, 7))
    gripper = 1 / (1 + np.exp(-20 * (time - 0.6)))
    numbers = np.concatenate([joints, gripper], axis=1).astype(np.float32)
    return {
        "observation.state": numbers[:-1].copy(),
        "action": numbers[1:],
        BASE: _film(seed, steps),
        WRIST: _film(seed + 50, steps),
    }


def _film(seed: int, steps: int) -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    t = np.arange(steps)[:, None, None]
    planes = [x * 2 + 5 * t, y * 4 + seed % 50 + 0 * t, x + y + 60 + 4 * t]  # below 256 up to 24 steps
    return np.stack(np.broadcast_arrays(*planes), -1).astype(np.uint8)


def write_recording(
    folder: Path,
    *,
    version="v2.1",
    video=False,
    episodes=None,
    fps=FPS,
    task=PROMPT,
    timestamps=None,
    robot="kinova_gen3",
) -> Path:
    """`episodes`: their arrays (three good ones without it); `task`: one sentence for all, or one per episode."""
    episodes = [make_recording(seed) for seed in range(3)] if episodes is None else episodes
    labels = [task] * len(episodes) if isinstance(task, str) else list(task)
    order = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    (folder / "meta").mkdir(parents=True)
    v3, rows, offset = version == "v3.0", [], 0
    for index, episode in enumerate(episodes):
        length = len(next(iter(episode.values())))
        rows.append(
            {
                "episode_index": index,
                "tasks": [labels[index]],
                "length": length,
                "offset": offset,
                "task": order[labels[index]],
            }
        )
        offset += length
    tables = [_table(one, row, fps, video, timestamps) for one, row in zip(episodes, rows, strict=True)]
    _write_tables(folder, tables, v3)
    info = _info(episodes, version, video, fps) | {"robot_type": robot}
    _write_meta(folder, version, rows, list(dict.fromkeys(labels)), info, fps)
    if video:
        _write_videos(folder, episodes, fps, v3)
    return folder


def _info(episodes, version, video, fps):
    v3 = version == "v3.0"
    features = {}
    for key, values in episodes[0].items():
        if values.ndim == 4:
            size = {"shape": list(values.shape[1:]), "names": ["height", "width", "channels"]}
            features[key] = {"dtype": "video" if video else "image", **size}
        elif values.dtype.kind == "U":
            features[key] = {"dtype": "string", "shape": [1], "names": None}
        else:
            features[key] = {"dtype": "float32", "shape": [values.shape[1]], "names": None}
    for key in ("timestamp", "frame_index", "episode_index", "index", "task_index"):
        features[key] = {"dtype": "float32" if key == "timestamp" else "int64", "shape": [1], "names": None}
    chunk, file = ("chunk-{chunk_index:03d}/file-{file_index:03d}", "") if v3 else ("chunk-{episode_chunk:03d}", "/")
    episode = "" if v3 else "episode_{episode_index:06d}"
    return {
        "codebase_version": version,
        "robot_type": "kinova_gen3",
        "total_episodes": len(episodes),
        "total_frames": sum(len(next(iter(one.values()))) for one in episodes),
        "chunks_size": 1000,
        "fps": fps,
        "data_path": f"data/{chunk}{file}{episode}.parquet",
        "video_path": f"videos/{{video_key}}/{chunk}.mp4" if v3 else f"videos/{chunk}/{{video_key}}/{episode}.mp4",
        "features": features,
    }


def _table(episode, row, fps, video, timestamps) -> pa.Table:
    columns = {}
    for key, values in episode.items():
        if values.ndim == 4 and not video:
            columns[key] = pa.array([{"bytes": _png(frame), "path": None} for frame in values])
        elif values.dtype.kind == "U":
            columns[key] = pa.array(values.tolist())
        elif values.ndim < 4:
            columns[key] = pa.array([list(map(float, line)) for line in values], pa.list_(pa.float32()))
    steps = np.arange(row["length"])
    times = steps / fps if timestamps is None else timestamps(steps)
    columns |= {"timestamp": pa.array(times.astype(np.float32)), "frame_index": pa.array(steps)}
    columns |= {
        "episode_index": pa.array(np.full(len(steps), row["episode_index"])),
        "index": pa.array(steps + row["offset"]),
    }
    return pa.table({**columns, "task_index": pa.array(np.full(len(steps), row["task"]))})


def _png(frame) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "PNG")
    return buffer.getvalue()


def _write_tables(folder, tables, v3):
    (folder / "data/chunk-000").mkdir(parents=True)
    if v3:
        pq.write_table(pa.concat_tables(tables), folder / "data/chunk-000/file-000.parquet")
    for index, table in enumerate([] if v3 else tables):
        pq.write_table(table, folder / f"data/chunk-000/episode_{index:06d}.parquet")


def _write_meta(folder, version, rows, labels, info, fps):
    (folder / "meta/info.json").write_text(json.dumps(info))
    if version != "v3.0":
        plain = [{key: row[key] for key in ("episode_index", "tasks", "length")} for row in rows]
        (folder / "meta/episodes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in plain))
        lines = [json.dumps({"task_index": index, "task": label}) + "\n" for index, label in enumerate(labels)]
        (folder / "meta/tasks.jsonl").write_text("".join(lines))
        return
    place = {"data/chunk_index": 0, "data/file_index": 0}
    for key in (BASE, WRIST):
        place |= {f"videos/{key}/chunk_index": 0, f"videos/{key}/file_index": 0}
    times = [{f"videos/{key}/from_timestamp": row["offset"] / fps for key in (BASE, WRIST)} for row in rows]
    table = pa.Table.from_pylist([row | place | time for row, time in zip(rows, times, strict=True)])
    (folder / "meta/episodes/chunk-000").mkdir(parents=True)
    pq.write_table(table, folder / "meta/episodes/chunk-000/file-000.parquet")
    columns = {"task_index": list(range(len(labels))), "__index_level_0__": labels}
    pq.write_table(pa.table(columns), folder / "meta/tasks.parquet")


def _write_videos(folder, episodes, fps, v3):
    for key in (BASE, WRIST):
        films = [one[key] for one in episodes]
        if v3:
            write_video(folder / f"videos/{key}/chunk-000/file-000.mp4", np.concatenate(films), fps)
        for index, film in enumerate([] if v3 else films):
            write_video(folder / f"videos/chunk-000/{key}/episode_{index:06d}.mp4", film, fps)


def write_video(path: Path, frames: np.ndarray, fps: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "8", "g": "5"})
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def data_set_of(config: Config) -> Path:
    """The recording of `demos.path`, taken in."""
    return convert.make(config, places_of(config))
