"""`pirig runs`: how a sweep does; and `cancel` and `retry`."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from pirig.config.places import run_folder
from pirig.sweeps import record, slurm
from pirig.sweeps.table import RETRIED, Row, columns, find_runs, readable, rows

if TYPE_CHECKING:
    from rich.console import Console

REFRESH_S = 2.0
HELP = """pirig runs [DIR]                      a row per run of an experiment's folder; on a terminal live until all have ended
pirig runs cancel DIR|RUN...          takes the jobs of these runs out of SLURM; what they made stays
pirig runs retry DIR|RUN... [KEY=VALUE ...]
                                      submits again what failed, was cancelled or was cut off, each from its last
                                      checkpoint; KEY=VALUE changes the launcher: train.memory_gb=128 train.time_min=2880

DIR is outputs/EXPERIMENT (default: outputs). States: done, running, queued, stopped, interrupted (its process is gone),
failed, cancelled, timeout, gone (never started and not in SLURM)."""


def main(arguments: list[str]) -> int:
    if arguments[:1] in (["-h"], ["--help"], ["help"]):
        print(HELP)
        return 0
    if arguments[:1] == ["cancel"]:
        return cancel(_folders(arguments[1:], "cancel"))
    if arguments[:1] == ["retry"]:
        changes = [word for word in arguments[1:] if "=" in word and not Path(word).is_dir()]
        return retry(_folders([word for word in arguments[1:] if word not in changes], "retry"), changes)
    if len(arguments) > 1:
        raise ValueError(f"pirig runs {' '.join(arguments)}: expected one folder, or cancel or retry and folders")
    return show(Path(arguments[0] if arguments else "outputs"))


def show(folder: Path) -> int:
    """On a terminal until every run has ended or ctrl-C; elsewhere once."""
    from pirig.files import tables
    from pirig.files.console import console

    screen = console()
    shown, left_out = readable(find_runs(folder))
    if screen.is_terminal and _busy(shown):
        shown, left_out = _live(screen, folder)
    tables.show(screen, columns(shown))
    print(_counts(shown))
    for run, reason in left_out.items():
        print(f"left out: {run} ({reason})")
    return 0


def _live(screen: Console, folder: Path) -> tuple[list[Row], dict[Path, str]]:
    """Until every run has ended; what is shown goes away with it."""
    from rich.live import Live

    from pirig.files import tables

    with Live(console=screen, auto_refresh=False, transient=True, vertical_overflow="visible") as live:
        while True:
            shown, left_out = readable(find_runs(folder))
            if not _busy(shown):
                return shown, left_out
            fitting = tables.fitted(screen, columns(shown)) or columns(shown)[:1]
            live.update(tables.table(fitting), refresh=True)
            time.sleep(REFRESH_S)


def cancel(folders: list[Path]) -> int:
    jobs = sorted({job for row in rows(folders) for job in row.jobs})
    if not jobs:
        print("no job of these runs is queued or running")
        return 0
    slurm.cancel(jobs)
    print(f"cancelled {len(jobs)} jobs: {', '.join(jobs)}; `pirig runs retry` goes on with them")
    return 0


def retry(folders: list[Path], changes: list[str]) -> int:
    """Runs of one verb and launcher go into one submission."""
    from pirig.stages.jobs import run_stage
    from pirig.sweeps.launch import launch_points
    from pirig.sweeps.points import Point

    chosen = [row for row in rows(folders) if row.state in RETRIED]
    batches: dict[str, list[Point]] = {}
    launchers = {}
    for row in chosen:
        recorded = record.read(row.folder)
        if not recorded:
            print(f"{row.folder}: not launched by a sweep; go on with run.mode=resume")
            continue
        point = Point(record.config_of(recorded), tuple(recorded["overrides"]))
        _require_here(row, point)
        key = f"{recorded['verb']} {recorded['launcher']}"
        batches.setdefault(key, []).append(point)
        launchers[key] = (recorded["verb"], recorded["launcher"])
    if not batches:
        print("nothing to retry: " + _counts(rows(folders)))
    status = 0
    for key, points in batches.items():
        verb, launcher = launchers[key]
        settings = _changed(launcher["settings"], changes)
        status = max(status, launch_points(verb, points, launcher["kind"], settings, run_stage))
    return status


def _require_here(row: Row, point: object) -> None:
    asked = run_folder(point.config)  # type: ignore[attr-defined]
    if asked.resolve() != row.folder.resolve():
        raise ValueError(
            f"{row.folder}: it was launched as {asked}, which from here is {asked.resolve()}; "
            "retry it from the folder that the sweep was launched in"
        )


def _changed(settings: dict, changes: list[str]) -> dict:
    from omegaconf import OmegaConf

    words = [word.removeprefix("hydra.launcher.") for word in changes]
    merged = OmegaConf.merge(OmegaConf.create(settings), OmegaConf.from_dotlist(words))
    return OmegaConf.to_container(merged)  # type: ignore[return-value]


def _folders(words: list[str], verb: str) -> list[Path]:
    if not words:
        raise ValueError(f"pirig runs {verb}: of which? Give an experiment's folder or run folders")
    return sorted({folder for word in words for folder in find_runs(Path(word))})


def _busy(shown: list[Row]) -> bool:
    return any(row.state in ("running", "queued") for row in shown)


def _counts(shown: list[Row]) -> str:
    noun = "run" if len(shown) == 1 else "runs"
    counted = Counter(row.state for row in shown).items()
    return f"{len(shown)} {noun}: " + ", ".join(f"{count} {state}" for state, count in counted)
