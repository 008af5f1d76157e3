"""One writer per folder, across processes and nodes: a file that names its owner and is touched while the owner lives."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from pirig.files.atomic import process_runs, write_text

FILE_NAME = ".lock"
HEARTBEAT_S = 15.0
STALE_S = 180.0  # no heartbeat for so long: the owner is gone
_held_here: set[str] = set()  # tokens of the locks of this process


class RunLocked(ValueError):
    """Another living process writes the folder."""


@dataclass(frozen=True)
class Owner:
    """`job` is SLURM's id ("" outside a job), `token` is drawn anew by each process."""

    host: str
    pid: int
    job: str
    since: str
    token: str

    def __str__(self) -> str:
        return (f"job {self.job} " if self.job else "") + f"process {self.pid} on {self.host} since {self.since}"


def this_process(environment: Mapping[str, str] | None = None) -> Owner:
    job = job_id(os.environ if environment is None else environment)
    return Owner(socket.gethostname(), os.getpid(), job, time.strftime("%Y-%m-%dT%H:%M:%S%z"), uuid.uuid4().hex)


def job_id(environment: Mapping[str, str]) -> str:
    """SLURM's id of the job that this process runs in, as squeue prints it (12 or 12_3); "" outside one."""
    array, task = environment.get("SLURM_ARRAY_JOB_ID"), environment.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else environment.get("SLURM_JOB_ID", "")


def owner_of(folder: Path, stale_s: float = STALE_S) -> Owner | None:
    """Who writes the folder now; None if nobody, or if its owner is known or presumed dead."""
    owner = _read(folder / FILE_NAME)
    return owner if owner and _alive(owner, folder / FILE_NAME, stale_s) else None


def require_free(folder: Path, stale_s: float = STALE_S) -> None:
    """Raises RunLocked where another living process writes the folder."""
    owner = owner_of(folder, stale_s)
    if owner and owner.token not in _held_here:
        raise RunLocked(_locked(folder, owner, stale_s))


@contextmanager
def held(folder: Path, heartbeat_s: float = HEARTBEAT_S, stale_s: float = STALE_S) -> Iterator[None]:
    """The folder is this process's alone inside the block. Raises RunLocked where another living process has it.

    A dead owner's lock is taken over: a process of this host that is gone, this same SLURM job before it was requeued,
    or one without a heartbeat for `stale_s`. Inside a block of this process for the same folder it does nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, me = folder / FILE_NAME, this_process()
    owner = _read(path)
    if owner and owner.token in _held_here:
        yield
        return
    _take(path, me, stale_s)
    _held_here.add(me.token)
    done = threading.Event()
    beat = threading.Thread(target=_beat, args=(path, me, done, heartbeat_s), daemon=True)
    beat.start()
    try:
        yield
    finally:
        done.set()
        beat.join()
        _held_here.discard(me.token)
        with _guard(path):
            if _read(path) == me:
                path.unlink()


@contextmanager
def held_in_turn(folder: Path, every_s: float = 2.0) -> Iterator[None]:
    """As `held`, but waits where another living process has it: of runs that share a thing one makes it, the others find it."""
    said = False
    while True:
        try:
            lock = held(folder)
            lock.__enter__()
            break
        except RunLocked as error:
            if not said:
                print(f"waiting: {error}", file=sys.stderr, flush=True)
            said = True
            time.sleep(every_s)
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


def _take(path: Path, me: Owner, stale_s: float) -> None:
    with _guard(path):
        owner = _read(path)
        same_job = owner is not None and owner.job != "" and owner.job == me.job and owner.pid != me.pid
        if owner and not same_job and _alive(owner, path, stale_s):
            raise RunLocked(_locked(path.parent, owner, stale_s))
        if owner:
            print(f"{path.parent}: taken over from {owner}, which is gone", file=sys.stderr)
        write_text(path, json.dumps(asdict(me)) + "\n")


def _locked(folder: Path, owner: Owner, stale_s: float) -> str:
    stop = f"scancel {owner.job}" if owner.job else f"kill {owner.pid}"
    return (
        f"{folder} is being written by {owner}. Wait for it, or stop it ({stop}); "
        f"a lock without a heartbeat for {stale_s:.0f} s is taken over."
    )


def _guard(path: Path) -> FileLock:
    """Held for the moment in which the lock is looked at and changed."""
    return FileLock(path.with_name(f"{FILE_NAME}.guard"), timeout=60)


def _read(path: Path) -> Owner | None:
    try:
        return Owner(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None


def _alive(owner: Owner, path: Path, stale_s: float) -> bool:
    if owner.token in _held_here:
        return True
    if owner.host == socket.gethostname() and (owner.pid == os.getpid() or not process_runs(owner.pid)):
        return False
    return _silent_s(path) < stale_s


def _silent_s(path: Path) -> float:
    """Seconds since the last heartbeat by the file server's own clock, which both owners share."""
    probe = path.with_name(f"{path.name}.clock-{os.getpid()}-{uuid.uuid4().hex[:6]}")
    try:
        probe.touch()
        return probe.stat().st_mtime - path.stat().st_mtime
    except PermissionError:  # a reader of someone else's runs
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
    finally:
        probe.unlink(missing_ok=True)


def _beat(path: Path, me: Owner, done: threading.Event, every_s: float) -> None:
    while not done.wait(every_s):
        owner = _read(path)
        if owner is None or owner.token != me.token:
            print(f"{path.parent} was taken over by {owner}: this process stops at once, or two would write one run")
            sys.stdout.flush()
            os._exit(1)
        os.utime(path)
