"""How far a folder has come, read from what lies in it; imports nothing heavy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pirig.config.places import CHECKPOINTS, Places
from pirig.config.schema import Config
from pirig.files.records import read_record


def steps_saved(run: Path) -> list[int]:
    """Steps of the complete checkpoints of a run's folder, ascending."""
    folder = run / CHECKPOINTS
    names = (path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else ()
    return sorted(int(name) for name in names if name.isdigit())


def saved_step(run: Path) -> int:
    """The step of the newest complete checkpoint, 0 without one."""
    return max(steps_saved(run), default=0)


def newest_checkpoint(run: Path) -> Path | None:
    steps = steps_saved(run)
    return run / CHECKPOINTS / str(steps[-1]) if steps else None


def chosen_checkpoint(config: Config, run: Path) -> Path:
    """`run.checkpoint` (a folder, or a step of the run), or the newest of the run. Raises ValueError where it is not there."""
    word, saved = config.run.checkpoint or "", steps_saved(run)
    step = run / CHECKPOINTS / word if word.isdigit() and not Path(word).is_dir() else None
    chosen = step or (Path(word) if word else newest_checkpoint(run))
    if chosen is not None and chosen.is_dir():
        return chosen
    if saved:
        steps = ", ".join(map(str, saved))
        raise ValueError(
            f"run.checkpoint={word}: no checkpoint there; {run} holds {steps}; give run.checkpoint={saved[-1]}."
        )
    raise ValueError(
        f"{chosen or run / CHECKPOINTS}: no checkpoint there; run `pirig train` with the same settings first, or give "
        "run.checkpoint=FOLDER."
    )


def is_trained(config: Config, places: Places) -> bool:
    return saved_step(places.run) >= config.train.steps


def has_demos(places: Places) -> bool:
    return all((of_task.demos / "manifest.json").is_file() for of_task in places.of_tasks)


def has_data_set(places: Places) -> bool:
    return all(of_task.data_set.is_dir() for of_task in places.of_tasks)


def has_stats(places: Places) -> bool:
    return all(path.is_file() for path in places.statistics.values())


def read_status(folder: Path) -> dict[str, Any]:
    """status.json, {} where there is none."""
    try:
        return read_record(
            folder / "status.json", "stage", "state", remedy="remove that file: the run goes on without it"
        )
    except FileNotFoundError:
        return {}
