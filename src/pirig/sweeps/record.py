"""jobs.json of a run or data folder: who was asked to make it, with what, and where the log is."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from pirig.config.plain import as_plain
from pirig.config.schema import Config
from pirig.files.atomic import write_text
from pirig.files.records import read_record
from pirig.sweeps.plan import Task

FILE_NAME = "jobs.json"


def read(folder: Path) -> dict[str, Any]:
    """{} where nothing was launched."""
    try:
        return read_record(folder / FILE_NAME)
    except FileNotFoundError:
        return {}


def add(task: Task, job: str, log: Path, launcher: dict[str, Any], code: Path) -> None:
    """Adds a submitted job to the folder's record; the newest of a stage is the last."""
    record = read(task.folder)
    entry = {"job": job, "log": str(log), "submitted": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "code": str(code)}
    stages = record.get("stages", {})
    stages[task.stage] = [*stages.get(task.stage, []), entry]
    asked = {"verb": task.verb, "overrides": list(task.overrides), "launcher": launcher, "stages": stages}
    write_text(task.folder / FILE_NAME, json.dumps({**asked, "config": as_plain(task.config)}, indent=1) + "\n")


def newest(record: dict[str, Any], stage: str) -> dict[str, str]:
    """{"job", "log", "submitted", "code"} of the last submission of a stage, {} without one."""
    return (record.get("stages", {}).get(stage) or [{}])[-1]


def newest_jobs(record: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {stage: entries[-1] for stage, entries in record.get("stages", {}).items() if entries}


def config_of(record: dict[str, Any]) -> Config:
    """The config that the record's jobs were submitted with."""
    from pirig.config.load import loaded, typed

    return typed(loaded(record["config"]))
