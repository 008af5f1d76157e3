"""Nothing is ever half-written: a temporary name beside the target, then one rename."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


def write_text(path: Path, text: str) -> None:
    """Write `text` so that a reader sees the old file or the whole new one."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    with replacing(path) as file:
        file.write(data)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file under a temporary name beside `path`, which gets that name when the block ends without an error.

    After an error nothing stays behind, and what the system refused without a name (a full disk) is said of `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def staging_folder(final: Path) -> Iterator[Path]:
    """A temporary folder beside `final`, renamed to it when the block ends without an error.

    Raises FileExistsError before anything is written if `final` exists. After an error the temporary folder is removed;
    after a kill it stays behind under its dotted name and the next call clears it.
    """
    if final.exists():
        raise FileExistsError(f"{final} exists already; remove it or choose another name")
    final.parent.mkdir(parents=True, exist_ok=True)
    for stale in final.parent.glob(f".{final.name}.staging-*"):
        if not process_runs(int(stale.name.rsplit("-", 1)[1])):
            shutil.rmtree(stale, ignore_errors=True)
    temporary = final.with_name(f".{final.name}.staging-{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        os.rename(temporary, final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def move_aside(path: Path) -> Path:
    """Renames `path` to `<name>.old-<time>` beside it and returns that name: nothing that a user made is deleted."""
    aside = path.with_name(f"{path.name}.old-{time.strftime('%Y%m%d-%H%M%S')}")
    os.rename(path, aside)
    return aside


def move_aside_inside(path: Path, kept: str) -> Path:
    """As `move_aside` for all that a folder holds but names that begin with `kept`: who has its lock keeps it all the time."""
    aside = path.with_name(f"{path.name}.old-{time.strftime('%Y%m%d-%H%M%S')}")
    aside.mkdir()
    for child in sorted(path.iterdir()):
        if not child.name.startswith(kept):
            os.rename(child, aside / child.name)
    return aside


def process_runs(pid: int) -> bool:
    """On this machine. One that has ended, and that its parent has not asked after, does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    return _told_of(pid)[:1] not in (["Z"], ["X"])


def process_born(pid: int) -> str:
    """When a process of this machine began, as its kernel counts; "" where that is not told."""
    return "".join(_told_of(pid)[19:20])


def _told_of(pid: int) -> list[str]:
    """The kernel's words behind a process's name, its state first; [] where it says none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def clear_leftovers(folder: Path) -> None:
    """Removes what killed processes left in a folder that nobody else writes now: temporary files and staging folders."""
    for path in folder.glob(".*"):
        match = re.fullmatch(r"\..*\.(?:(\d+)\.tmp|staging-(\d+)|clock-(\d+)-\w+)", path.name)
        if match is None or process_runs(int(match[1] or match[2] or match[3])):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
