"""What this machine is and has: cores, memory, GPUs; and the most that this process has held. Imports no JAX."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PROC = Path("/proc")
CGROUP = Path("/sys/fs/cgroup")
MIB = 2**20
SMI = ("nvidia-smi", "--format=csv,noheader,nounits")
VISIBLE = "CUDA_VISIBLE_DEVICES"
UNLIMITED = 1 << 60  # version 1 of cgroups says a number near 2^63 where there is no limit


@dataclass(frozen=True)
class Gpu:
    """Bytes; `used` by all processes together."""

    name: str
    memory: int
    used: int


def described() -> dict[str, Any]:
    """For a record: cores of this process, GB of memory (of the machine, and of the cgroup where it is less), GPUs."""
    limit = cgroup_limit()
    return {
        "cores": cores(),
        "memory_gb": _gb(memory_bytes()),
        **({"cgroup_gb": _gb(limit)} if limit is not None else {}),
        "gpus": [{**asdict(gpu), "memory": _gb(gpu.memory), "used": _gb(gpu.used)} for gpu in gpus()],
    }


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int:
    """Of the whole machine."""
    return _meminfo().get("MemTotal") or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def available_bytes() -> int:
    """What this process may hold in all: what it holds, and what is free (caches count as free), within its cgroup."""
    own = _status("VmRSS")
    have = own + _meminfo().get("MemAvailable", memory_bytes() - own)
    limit = cgroup_limit()
    if limit is None:
        return have
    others = max(0, (_cgroup_used() or own) - own)
    return min(have, limit - others)


def cgroup_limit() -> int | None:
    """The least memory limit from this process's cgroup upward; None where there is none below the machine's memory."""
    limits = [int(text) for text in _cgroup_texts("memory.max", "memory.limit_in_bytes") if text.isdigit()]
    least = min((limit for limit in limits if limit < UNLIMITED), default=None)
    return least if least is not None and least < memory_bytes() else None


def peak_bytes() -> int:
    """The most memory that this process has held at once."""
    peak = _status("VmHWM")
    unit = 1 if sys.platform == "darwin" else 1024
    return peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def forget_peak() -> None:
    """`peak_bytes` counts from now on, where the system allows it (Linux does)."""
    with contextlib.suppress(OSError):
        (PROC / "self" / "clear_refs").write_text("5")


def gpus() -> list[Gpu]:
    """Those that nvidia-smi lists and CUDA_VISIBLE_DEVICES leaves; [] without one."""
    visible = os.environ.get(VISIBLE)
    chosen = None if visible is None else [part.strip() for part in visible.split(",")]
    found = []
    for line in _smi("--query-gpu=index,uuid,memory.total,memory.used,name"):
        index, uuid, total, used, name = (part.strip() for part in line.split(",", 4))
        seen = chosen is None or index in chosen or any(part and uuid.startswith(part) for part in chosen)
        if seen and total.isdigit() and used.isdigit():
            found.append(Gpu(name, int(total) * MIB, int(used) * MIB))
    return found


def held_on_gpus() -> int | None:
    """Bytes that this process holds on all GPUs; None where nvidia-smi does not name it (a container has its own numbers)."""
    rows = [line.split(",") for line in _smi("--query-compute-apps=pid,used_memory")]
    own = [int(used) for pid, used in rows if int(pid) == os.getpid() and used.strip().isdigit()]
    return sum(own) * MIB if own else None


def _smi(query: str) -> list[str]:
    if shutil.which(SMI[0]) is None:
        return []
    asked = subprocess.run([*SMI, query], capture_output=True, text=True)
    return asked.stdout.strip().splitlines() if asked.returncode == 0 else []


def _cgroup_used() -> int | None:
    """Of the process's own cgroup, without the cache of files, which is given back when it is needed."""
    used = next(
        (int(text) for text in _cgroup_texts("memory.current", "memory.usage_in_bytes") if text.isdigit()), None
    )
    lines = next(iter(_cgroup_texts("memory.stat", "memory.stat")), "").splitlines()
    cached = {name: int(value) for name, _, value in (line.partition(" ") for line in lines) if value.isdigit()}
    return None if used is None else used - cached.get("inactive_file", cached.get("total_inactive_file", 0))


def _cgroup_texts(second: str, first: str) -> list[str]:
    """Contents of a file, own cgroup before its parents; its name in version 2 of cgroups, and in version 1."""
    try:
        lines = (PROC / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return []
    texts = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root, name = (CGROUP / "memory", first) if controllers else (CGROUP, second)
        own = root / path.lstrip("/")
        for folder in (own, *own.parents):
            if folder.is_relative_to(root) and (folder / name).is_file():
                texts.append((folder / name).read_text().strip())
    return texts


def _meminfo() -> dict[str, int]:
    return _kilobytes(PROC / "meminfo")


def _status(name: str) -> int:
    return _kilobytes(PROC / "self" / "status").get(name, 0)


def _kilobytes(path: Path) -> dict[str, int]:
    """Bytes by name of a file of lines such as "VmHWM:  1234 kB"."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    parts = (line.replace(":", " ").split() for line in lines)
    return {part[0]: int(part[1]) * 1024 for part in parts if len(part) == 3 and part[2] == "kB"}


def _gb(size: int) -> float:
    return round(size / 1e9, 2)
