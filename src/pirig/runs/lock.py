"""One writer per folder, across processes and nodes: a file that names its owner and is touched while the owner lives."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from pirig.files.atomic import clear_leftovers, process_born, process_runs, write_text

FILE_NAME = ".lock"
HEARTBEAT_S = 15.0
STALE_S = 180.0  # no heartbeat for so long: an owner on another host is gone
SAY_EVERY_S = 15.0  # of who waits for another process
_held_here: set[str] = set()  # tokens of the locks of this process


class RunLocked(ValueError):
    """Another living process writes the folder."""


@dataclass(frozen=True)
class Owner:
    """`job` is SLURM's id ("" outside a job), `token` is drawn anew by each process.

    `born`: when the process began, by which another one with its number is told from it. `restarts`: how often SLURM had
    put the job back into the queue. Both are unknown in the lock of an older version.
    """

    host: str
    pid: int
    job: str
    since: str
    token: str
    born: str = ""
    restarts: int = 0

    def __str__(self) -> str:
        return (f"job {self.job} " if self.job else "") + f"process {self.pid} on {self.host} since {self.since}"


UNREADABLE = Owner("a host that its lock does not say", 0, "", "a time that it does not say", "unreadable")
# of a torn or foreign lock: only its heartbeat can tell whether somebody lives


def this_process(environment: Mapping[str, str] | None = None) -> Owner:
    environment = os.environ if environment is None else environment
    since, restarts = time.strftime("%Y-%m-%dT%H:%M:%S%z"), int(environment.get("SLURM_RESTART_COUNT") or 0)
    pid, token = os.getpid(), uuid.uuid4().hex
    return Owner(socket.gethostname(), pid, job_id(environment), since, token, process_born(pid), restarts)


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
    or one of another host without a heartbeat for `stale_s`. Inside a block of this process for the same folder it does nothing.
    """
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    path, me = folder / FILE_NAME, this_process()
    owner = _read(path)
    if owner and owner.token in _held_here:
        yield
        return
    _take(path, me, stale_s)
    clear_leftovers(folder)
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
            _remove_if_unused(new)


@contextmanager
def held_in_turn(folder: Path, how_far: Callable[[], str] = str, every_s: float = 1.0) -> Iterator[None]:
    """As `held`, but waits where another living process has it, and says so with `how_far` that one is: of commands that
    share a thing one makes it, the others find it.

    A folder that cannot be written needs no lock: then the block reads.
    """
    with ExitStack() as stack:
        told_s = -SAY_EVERY_S
        while True:
            try:
                stack.enter_context(held(folder))
                break
            except RunLocked:
                if time.monotonic() - told_s >= SAY_EVERY_S:
                    told_s = time.monotonic()
                    print(
                        f"{folder}: {owner_of(folder) or 'another process'} makes it; waiting {how_far()}",
                        file=sys.stderr,
                        flush=True,
                    )
                time.sleep(every_s)
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EROFS, errno.EPERM):
                    raise
                break
        yield


def _remove_if_unused(new: Sequence[Path]) -> None:
    """Folders that came with the lock, where nothing was written into them: a stage that was refused leaves none."""
    if new and all(path.name.startswith(f"{FILE_NAME}.") for path in new[0].iterdir()):
        shutil.rmtree(new[0], ignore_errors=True)
        for folder in new[1:]:
            with suppress(OSError):
                folder.rmdir()


def _take(path: Path, me: Owner, stale_s: float) -> None:
    with _guard(path):
        owner = _read(path)
        requeued = (
            owner is not None and owner.job not in ("", None) and owner.job == me.job and owner.restarts < me.restarts
        )
        if owner and not requeued and _alive(owner, path, stale_s):
            raise RunLocked(_locked(path.parent, owner, stale_s))
        if owner:
            print(f"{path.parent}: taken over from {owner}, which is gone", file=sys.stderr)
        write_text(path, json.dumps(asdict(me)) + "\n")


def _locked(folder: Path, owner: Owner, stale_s: float) -> str:
    if owner.host == socket.gethostname():  # of one allocation scancel would end both
        return f"{folder} is being written by {owner}. Wait for it, or stop it (kill {owner.pid})."
    stop = f"scancel {owner.job}" if owner.job else f"kill {owner.pid} on {owner.host}"
    return (
        f"{folder} is being written by {owner}. Wait for it, or stop it ({stop}); "
        f"a lock without a heartbeat for {stale_s:.0f} s is taken over."
    )


@contextmanager
def _guard(path: Path) -> Iterator[None]:
    """Held for the moment in which the lock is looked at and changed. Who has it may remove a folder that nobody used."""
    file = path.with_name(f"{FILE_NAME}.guard")
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(file, timeout=60):
                if file.exists():
                    yield
                    return
        except FileNotFoundError:
            if path.parent.is_dir():
                raise


def _read(path: Path) -> Owner | None:
    try:
        told = json.loads(path.read_bytes())
        return Owner(**{name: value for name, value in told.items() if name in Owner.__dataclass_fields__})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, AttributeError):
        return UNREADABLE


def _alive(owner: Owner, path: Path, stale_s: float) -> bool:
    if owner.token in _held_here:
        return True
    if owner.host == socket.gethostname():
        if owner.pid == os.getpid() or not process_runs(owner.pid):
            return False
        if owner.born and (born := process_born(owner.pid)):
            return born == owner.born  # a process that was stopped for a while has no heartbeat and lives
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
