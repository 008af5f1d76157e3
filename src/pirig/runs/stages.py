"""What each stage took: stages.json beside what the stage made, an entry each time that it ran.

[{"stage": "train", "began": "2026-11-26T10:00:00+0000", "ended": "done", "minutes": 12.5, "peak_gb": 2.1,
  "workers_peak_gb": 0.0, "gpu_peak_gb": [41.2], "host": "...", "hardware": {...}, "steps": 3000}]
"""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pirig.files.atomic import write_text
from pirig.runs import hardware

FILE_NAME = "stages.json"
KEPT = 200  # entries; of a folder that is resumed more often the oldest go


@contextmanager
def measured(folder: Path, stage: str) -> Iterator[dict[str, Any]]:
    """Keeps what the block took in `folder`, if that is there at its end. What the block puts into the dict is kept too."""
    began, started_s = time.strftime("%Y-%m-%dT%H:%M:%S%z"), time.monotonic()
    hardware.forget_peak()
    told: dict[str, Any] = {}
    ended = "failed"
    try:
        yield told
        ended = "done"
    except KeyboardInterrupt:
        ended = "stopped"
        raise
    finally:
        entry = {
            "stage": stage,
            "began": began,
            "ended": ended,
            "minutes": round((time.monotonic() - started_s) / 60, 3),
            "peak_gb": round(hardware.peak_bytes() / 1e9, 3),
            "workers_peak_gb": round(_workers_peak() / 1e9, 3),
            "gpu_peak_gb": [round(peak / 1e9, 3) for peak in _gpu_peaks()],
            "host": socket.gethostname(),
            "hardware": hardware.described(),
            **told,
        }
        if folder.is_dir():
            with contextlib.suppress(OSError):  # a full disk has its own sentence
                write_text(folder / FILE_NAME, json.dumps([*entries(folder), entry][-KEPT:], indent=1) + "\n")


def entries(folder: Path) -> list[dict[str, Any]]:
    """Oldest first; [] where there is no record that can be read."""
    try:
        kept = json.loads((folder / FILE_NAME).read_text())
    except (OSError, ValueError):
        return []
    return [entry for entry in kept if isinstance(entry, dict) and "stage" in entry] if isinstance(kept, list) else []


@dataclass(frozen=True)
class Cost:
    """Of one stage, all the times that it ran together: minutes add up, of peaks (GB) the greatest is kept."""

    stage: str
    minutes: float
    peak_gb: float
    gpu_peak_gb: float | None
    hardware: str


def costs(kept: Sequence[dict[str, Any]]) -> list[Cost]:
    """By stage, in the order of their first entries."""
    names = dict.fromkeys(str(entry["stage"]) for entry in kept)
    return [_cost(name, [entry for entry in kept if entry["stage"] == name]) for name in names]


def _cost(stage: str, kept: Sequence[dict[str, Any]]) -> Cost:
    on_gpus = [peak for entry in kept for peak in entry.get("gpu_peak_gb", [])]
    return Cost(
        stage,
        round(sum(float(entry.get("minutes", 0)) for entry in kept), 3),
        max(float(entry.get("peak_gb", 0)) for entry in kept),
        max(on_gpus, default=None),
        in_words(kept[-1].get("hardware", {})),
    )


def in_words(machine: dict[str, Any]) -> str:
    """ "2 cores, 25 GB", "16 cores, 135 GB, NVIDIA H100 80GB HBM3 (86 GB)"."""
    if not machine:
        return "-"
    limit = machine.get("cgroup_gb", machine.get("memory_gb", 0))
    gpus = [f"{gpu['name']} ({gpu['memory']:.0f} GB)" for gpu in machine.get("gpus", [])]
    counted = [f"{gpus.count(name)} x {name}" if gpus.count(name) > 1 else name for name in dict.fromkeys(gpus)]
    return ", ".join([f"{machine.get('cores', '?')} cores", f"{limit:.0f} GB", *counted])


def _workers_peak() -> int:
    """Of the process of ours that held most and has ended."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _gpu_peaks() -> list[int]:
    """Of each GPU that JAX uses in this process; [] where it has none, or was not started."""
    if "jax" not in sys.modules or not hardware.gpus():
        return []
    import jax

    statistics = [device.memory_stats() or {} for device in jax.local_devices() if device.platform == "gpu"]
    return [int(row["peak_bytes_in_use"]) for row in statistics if "peak_bytes_in_use" in row]
