"""Checkpoints from openpi's public bucket into a cache that several users and processes may share.

<cache>/<bucket>/<parent>/<name>/             complete: renamed only when every file's checksum was right
<cache>/<bucket>/<parent>/.<name>.partial/    being fetched; a killed fetch goes on from it
<cache>/<bucket>/<parent>/.<name>.lock        one process fetches, the others wait for it
"""

from __future__ import annotations

import dataclasses
import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from filelock import FileLock, Timeout

from pirig.config.schema import WeightsConfig
from pirig.files.atomic import write_text
from pirig.files.progress import Progress
from pirig.files.space import require_space
from pirig.weights.bucket import Bucket, FetchError, RemoteFile, Stopped, api_base, damage, download

KNOWN = {
    name: f"gs://openpi-assets/checkpoints/{name}"
    for name in (
        *("pi05_base", "pi0_base", "pi05_libero", "pi05_droid", "pi0_droid"),
        *("pi0_aloha_pen_uncap", "pi0_aloha_towel", "pi0_aloha_tupperware"),
    )
}
CACHE_SETTING, RECORD = "PIRIG_CACHE", ".pirig_fetched.json"
LEFT_OUT = ("train_state",)  # the optimizer's moments: as large as the weights, and nobody needs them
FOLDER_MODE, FILE_MODE = 0o775, 0o664  # the group shares the cache
PARALLEL = 8


def resolve(weights: WeightsConfig) -> Path | None:
    """The local folder of a config's weights, fetched if need be; None for weights=scratch.

    `weights.path` (a folder or a gs:// address) goes before `weights.name`. Raises FetchError, or ValueError where the
    folder does not exist.
    """
    if weights.path and not weights.path.startswith("gs://"):
        folder = Path(weights.path).expanduser()
        if not folder.is_dir():
            raise ValueError(f"weights.path={weights.path}: there is no such folder; give a checkpoint's folder")
        return folder
    if weights.path:
        return fetch(weights.path, url=weights.url)
    if not weights.kind:
        return None
    if weights.name not in KNOWN:
        raise ValueError(f"weights={weights.name}: give weights.path=FOLDER, or choose one of {', '.join(KNOWN)}")
    return fetch(weights.name, url=weights.url)


def cache_folder() -> Path:
    """$PIRIG_CACHE, else ~/.cache/pirig/weights."""
    chosen = os.environ.get(CACHE_SETTING)
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "pirig" / "weights"


def address_of(name: str) -> str:
    """ "pi05_base" or a gs:// address -> the address without a closing slash. Raises FetchError for another name."""
    address = KNOWN.get(name, name).rstrip("/")
    bucket, _, prefix = address.removeprefix("gs://").partition("/")
    if not address.startswith("gs://") or not bucket or not prefix or {"", ".", ".."} & set(prefix.split("/")):
        raise FetchError(f"{name}: expected gs://BUCKET/FOLDER or one of {', '.join(KNOWN)}")
    return address


def fetch(name: str, *, url: str | None = None, cache: Path | None = None, recheck: bool = False) -> Path:
    """The local folder of a known checkpoint or a gs:// folder; fetched unless the cache has it.

    What is in the cache is checked by its files' sizes, with `recheck` by their checksums; damaged files are named and
    fetched again. `url` (else $PIRIG_WEIGHTS_URL) replaces the address of Google's API. Raises FetchError.
    """
    address = address_of(name)
    final = (cache or cache_folder()) / address.removeprefix("gs://")
    if not recheck and not damaged(final, checksums=False):
        return final
    _make_folders(final.parent)
    with _locked(final):
        bad = damaged(final, checksums=recheck)
        if bad:
            for path, problem in bad.items() if final.exists() else ():
                print(f"{final / path} {problem}; fetching it again", flush=True)
            _Job(address, final, Bucket(api_base(url), address.removeprefix("gs://").split("/")[0])).run()
    return final


def fetch_file(address: str, *, url: str | None = None, cache: Path | None = None) -> Path:
    """One object (gs://BUCKET/NAME, as PaliGemma's tokenizer) into the cache; checked as `fetch` does."""
    bucket_name, _, name = address_of(address).removeprefix("gs://").partition("/")
    final = (cache or cache_folder()) / bucket_name / name
    if final.is_file():
        return final
    _make_folders(final.parent)
    with _locked(final):
        if final.is_file():
            return final
        bucket = Bucket(api_base(url), bucket_name)
        matches = [file for file in bucket.files(name) if file.name == name]
        if not matches:
            raise FetchError(f"{address}: the bucket has no such file")
        _Job(address, final.parent, bucket).fetch_all(final.parent, {final.name: matches[0]})
    return final


def damaged(folder: Path, *, checksums: bool = True) -> dict[str, str]:
    """What is wrong with a fetched folder by its own record: {path inside it: problem}, empty if all is well."""
    record = folder / RECORD
    if not record.is_file():
        return {RECORD: "is absent"}
    files = [RemoteFile(**entry) for entry in json.loads(record.read_text())["files"]]
    problems = {file.name: damage(folder / file.name, file, checksums) for file in files}
    return {path: problem for path, problem in problems.items() if problem}


@contextmanager
def _locked(final: Path) -> Iterator[None]:
    lock = FileLock(final.with_name(f".{final.name}.lock"), mode=FILE_MODE)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"another process is fetching {final.name}; waiting for it", flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@dataclass
class _Job:
    """One fetch of a folder, by the process that holds the lock."""

    address: str
    final: Path
    bucket: Bucket

    def run(self) -> None:
        prefix = self.address.removeprefix(f"gs://{self.bucket.name}/") + "/"
        files = {_inside(file.name, prefix): file for file in self.bucket.files(prefix)}
        files = {path: file for path, file in files.items() if PurePosixPath(path).parts[0] not in LEFT_OUT}
        if not files:
            raise FetchError(f"{self.address}: the bucket has nothing there; known are {', '.join(KNOWN)}")
        partial = self.final.with_name(f".{self.final.name}.partial")
        folder = self.final if self.final.exists() else partial
        for path in files:
            _make_folders((folder / path).parent)
        self.fetch_all(folder, files)
        self._record(folder, files)
        if folder is partial:
            os.rename(partial, self.final)

    def fetch_all(self, folder: Path, files: dict[str, RemoteFile]) -> None:
        wanted = {path: file for path, file in files.items() if damage(folder / path, file)}
        total = sum(file.size for file in wanted.values())
        here = sum(min(_part_size(folder / path), file.size) for path, file in wanted.items())
        require_space(
            folder, total - here, "what is missing of the weights", f"set {CACHE_SETTING} to a folder on a larger disk"
        )
        stop = threading.Event()
        with Progress(f"fetch {self.final.name}, bytes", total, here) as progress:
            meter = _Meter(progress)
            pool = ThreadPoolExecutor(PARALLEL)
            try:
                jobs = [pool.submit(self._fetch_one, folder / path, file, meter, stop) for path, file in wanted.items()]
                _first_error(jobs)
            finally:
                stop.set()
                pool.shutdown(cancel_futures=True)

    def _fetch_one(self, path: Path, file: RemoteFile, meter: _Meter, stop: threading.Event) -> None:
        """Fetch, check, once more if the content is wrong, then rename."""
        part = path.with_name(path.name + ".part")
        for attempt in (1, 2):
            download(self.bucket, file, part, meter, stop)
            problem = damage(part, file)
            if not problem:
                break
            part.unlink()
            meter(-file.size)
            if attempt == 2:
                raise FetchError(
                    f"{self.bucket.media_url(file)}: the fetched file {problem}, twice; the bucket or mirror (or a "
                    "proxy on the way) sends corrupted content: try another mirror with weights.url=URL"
                )
            print(f"{file.name} is corrupted: it {problem}; fetching it again", flush=True)
        part.chmod(FILE_MODE)
        os.replace(part, path)

    def _record(self, folder: Path, files: dict[str, RemoteFile]) -> None:
        entries = [dataclasses.asdict(dataclasses.replace(file, name=path)) for path, file in files.items()]
        record = {"address": self.address, "files": entries}
        write_text(folder / RECORD, json.dumps(record, indent=1) + "\n")
        (folder / RECORD).chmod(FILE_MODE)


class _Meter:
    """A Progress that several threads may advance."""

    def __init__(self, progress: Progress):
        self.progress, self.lock = progress, threading.Lock()

    def __call__(self, count: int) -> None:
        with self.lock:
            done, total = self.progress.done + count, self.progress.total
            self.progress.advance(count, note=f"{done / 1e9:.2f} of {total / 1e9:.2f} GB")


def _first_error(jobs: list[Future[None]]) -> None:
    """Wait for all; the first failure (not one that was only told to stop) is raised at once."""
    done, _ = wait(jobs, return_when=FIRST_EXCEPTION)
    errors = [error for job in done if (error := job.exception()) and not isinstance(error, Stopped)]
    if errors:
        raise errors[0]


def _inside(name: str, prefix: str) -> str:
    path = name.removeprefix(prefix)
    if path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise FetchError(f"{name}: the listing names a file outside {prefix}; is the mirror to be trusted?")
    return path


def _part_size(path: Path) -> int:
    part = path.with_name(path.name + ".part")
    return part.stat().st_size if part.is_file() else 0


def _make_folders(folder: Path) -> None:
    """mkdir -p, each new folder readable and writable by the group."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir(exist_ok=True)
        parent.chmod(FOLDER_MODE)
