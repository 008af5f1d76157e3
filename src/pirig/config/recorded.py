"""What a data set recorded on a real arm says about itself: LeRobot v2.x and v3.0, its meta folder only.

A config names such a data set by `demos.path`. What the config leaves open (prompt "", image sizes 0) is taken from it once,
when the config is loaded, so that the run's config.yaml holds it.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from pirig.config.schema import CameraEntry, Config

VERSIONS = ("v2.0", "v2.1", "v3.0")
TASKS_SHOWN = 5


def completed(config: Config) -> Config:
    """The config with its prompt and image sizes; unchanged for a simulated robot and where nothing is open.

    A prompt in the config wins over the data set's own. Raises ValueError where demos.path is no LeRobot data set, a
    camera's column is missing, or there is no single prompt.
    """
    entries = config.camera.entries
    open_sizes = [entry for entry in entries.values() if not (entry.width_px and entry.height_px)]
    if config.robot.simulated or (config.task.prompt.strip() and not open_sizes):
        return config
    folder = Path(config.demos.path or "")
    features = read_info(folder)["features"]
    prompt = config.task.prompt.strip() or the_task(folder)
    sized = {name: _sized(folder, features, entry) for name, entry in entries.items()}
    return dataclasses.replace(
        config,
        task=dataclasses.replace(config.task, prompt=prompt),
        camera=dataclasses.replace(config.camera, entries=sized),
    )


def read_info(folder: Path) -> dict[str, Any]:
    """meta/info.json. Raises ValueError where there is none, or where it is of a version that we cannot read."""
    path = folder / "meta/info.json"
    if not path.is_file():
        raise ValueError(
            f"demos.path={folder}: no meta/info.json there, so this is no LeRobot data set; give the folder that holds meta/, "
            "data/ and videos/."
        )
    try:
        info = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON ({error}); copy the data set again.") from error
    if info.get("codebase_version") not in VERSIONS:
        raise ValueError(
            f"{path}: LeRobot version {info.get('codebase_version')}; expected one of {', '.join(VERSIONS)}: convert it with "
            "LeRobot's own converter first."
        )
    return info


def tasks(folder: Path) -> list[str]:
    """The sentences that the data set's episodes are labelled with; [] where it has none."""
    lines, table = folder / "meta/tasks.jsonl", folder / "meta/tasks.parquet"
    if lines.is_file():
        prompts = [json.loads(line).get("task") for line in lines.read_text().splitlines() if line.strip()]
    elif table.is_file():
        import pyarrow.parquet as pq

        columns = pq.read_table(table).to_pydict()
        prompts = next((values for name, values in columns.items() if name != "task_index"), [])
    else:
        prompts = []
    return list(dict.fromkeys(str(prompt).strip() for prompt in prompts if prompt and str(prompt).strip()))


def the_task(folder: Path) -> str:
    """The one prompt of the data set. Raises ValueError where it has none, or several."""
    prompts = tasks(folder)
    if len(prompts) == 1:
        return prompts[0]
    if not prompts:
        raise ValueError(
            f"{folder}: its episodes have no task, so there is no prompt; give task.prompt='What the arm does.'"
        )
    shown = "; ".join(prompts[:TASKS_SHOWN]) + ("; ..." if len(prompts) > TASKS_SHOWN else "")
    raise ValueError(
        f"{folder}: {len(prompts)} tasks ({shown}), and a policy has one prompt; give task.prompt='...' for all episodes, or "
        "record each task as a data set of its own."
    )


def image_size(features: dict[str, Any], column: str) -> tuple[int, int] | None:
    """(width, height) in px of an image or video column; None where there is no such column."""
    feature = features.get(column)
    if feature is None or feature.get("dtype") not in ("image", "video"):
        return None
    shape, names = list(feature["shape"]), feature.get("names") or []
    if not isinstance(names, list) or len(names) != 3:
        names = ["channels", "height", "width"] if shape[0] == 3 and shape[2] != 3 else ["height", "width", "channels"]
    sides = dict(zip((str(name).rstrip("s") for name in names), shape, strict=True))
    return int(sides["width"]), int(sides["height"])


def image_columns(features: dict[str, Any]) -> list[str]:
    return [name for name, feature in features.items() if feature.get("dtype") in ("image", "video")]


def _sized(folder: Path, features: dict[str, Any], entry: CameraEntry) -> CameraEntry:
    size = image_size(features, entry.sensor)
    if size is None:
        has = ", ".join(image_columns(features)) or "no images at all"
        raise ValueError(
            f"{folder}: no image column {entry.sensor!r} for {entry.role} (it has {has}); name it in "
            "camera.entries.<camera>.sensor=..."
        )
    return dataclasses.replace(entry, width_px=entry.width_px or size[0], height_px=entry.height_px or size[1])
