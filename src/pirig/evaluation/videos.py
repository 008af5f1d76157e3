"""What an evaluation looked like: videos of the first successes and failures, and a contact sheet of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pirig.evaluation.results import EpisodeResult, ResultsFile
from pirig.evaluation.workers import Pool
from pirig.files.atomic import write_bytes
from pirig.sim.door import State

MIN_HEIGHT_PX = 256
SHEET_COLUMNS = 8


def film(
    pool: Pool,
    results: ResultsFile,
    scenes: list[int],
    folder: Path,
    *,
    count: int,
    every: int,
    fps: int,
    starts: Mapping[int, State] | None = None,
) -> list[Path]:
    """Videos of the first `count` successes and failures, replayed from their recorded actions, and sheet.png.

    The measured episodes render only what the policy looks at; so the film is taken afterwards. Videos that exist are
    not made again. Where physics does not repeat itself (a GPU's), a film may end otherwise than its name says.
    `fps` is the control rate: a video plays at the speed of the episode. `starts`: as `roll_out` had them.
    """
    filmed_scenes = results.results(scenes)
    chosen = [
        result for wanted in (True, False) for result in [r for r in filmed_scenes if r.success is wanted][:count]
    ]
    paths = [folder / _name(result) for result in chosen]
    if not chosen or all(path.is_file() for path in [*paths, folder / "sheet.png"]):
        return paths
    clips = _replay(pool, results, chosen, every, starts or {})
    for path, frames in zip(paths, clips, strict=True):
        write_video(path, frames, fps / every)
    write_bytes(folder / "sheet.png", _sheet([path.stem for path in paths], clips))
    return paths


def _name(result: EpisodeResult) -> str:
    return f"{'success' if result.success else 'failure'}-seed{result.scene}.mp4"


def _replay(
    pool: Pool, results: ResultsFile, chosen: list[EpisodeResult], every: int, starts: Mapping[int, State]
) -> list[list[np.ndarray]]:
    todo = list(chosen)
    running: dict[int, EpisodeResult] = {}
    clips: dict[int, list[np.ndarray]] = {}
    idle = list(range(pool.count))
    while todo or running:
        while todo and idle:
            worker, result = idle.pop(), todo.pop(0)
            actions, state = results.actions(result.scene), starts.get(result.scene)
            pool.film(worker, result.scene, actions, every, state=state)
            running[worker] = result
        for worker, episode in pool.next_ready(list(running)):
            result = running.pop(worker)
            clips[result.scene] = episode.frames
            idle.append(worker)
            if pool.repeatable and (episode.first_success >= 0) != result.success:
                raise RuntimeError(
                    f"scene {result.scene}: success was {result.success} and is {episode.first_success >= 0} when the same "
                    "actions are replayed; the simulator is not deterministic here, so its numbers cannot be trusted"
                )
    return [clips[result.scene] for result in chosen]


def write_video(path: Path, frames: list[np.ndarray], fps: float) -> None:
    """H.264 mp4 of u8 [H, W, 3] frames, enlarged to at least MIN_HEIGHT_PX, that browsers play."""
    from fractions import Fraction

    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    scale = max(1, -(-MIN_HEIGHT_PX // frames[0].shape[0]))
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with av.open(str(temporary), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000))
        stream.height, stream.width = (size * scale // 2 * 2 for size in frames[0].shape[:2])
        stream.pix_fmt = "yuv420p"
        for image in frames:
            large = np.repeat(np.repeat(image, scale, axis=0), scale, axis=1)[: stream.height, : stream.width]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(large), format="rgb24")))
        container.mux(stream.encode())
    os.replace(temporary, path)


def _sheet(names: list[str], clips: list[list[np.ndarray]]) -> bytes:
    """PNG: a row per episode, SHEET_COLUMNS frames evenly over its length."""
    import io

    from matplotlib.figure import Figure

    height, width = clips[0][0].shape[:2]
    inches = 1.2
    figure = Figure(figsize=(inches * SHEET_COLUMNS * width / height + 1.6, inches * len(clips)), layout="constrained")
    axes = figure.subplots(len(clips), SHEET_COLUMNS, squeeze=False)
    for row, (name, frames) in enumerate(zip(names, clips, strict=True)):
        for column, place in enumerate(np.linspace(0, len(frames) - 1, SHEET_COLUMNS).round().astype(int)):
            axes[row, column].imshow(frames[place])
            axes[row, column].set(xticks=[], yticks=[])
        axes[row, 0].set_ylabel(name.replace("-", "\n"), rotation=0, ha="right", va="center", fontsize=8)
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=100)
    return target.getvalue()
