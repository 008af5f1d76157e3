"""Data sets on the Hugging Face Hub, or on a mirror that HF_ENDPOINT names; every file is compared by checksum.

Who may see them is asked by huggingface_hub's own means (HF_TOKEN, `hf auth login`).
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from pirig.files.progress import Progress

USUAL, VARIABLE = "https://huggingface.co", "HF_ENDPOINT"
NAME = r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*"
KIND = "dataset"
PART = ".part"  # behind the name of a file that is coming
AT_ONCE, TRIES, TIMEOUT_S = 8, 5, 30.0
LEFT_BY_THE_HUB = (".cache", ".gitattributes")  # what its library and its repositories add


@dataclass(frozen=True)
class Told:
    """What the Hub says of a file: `digest` is its sha256, of a small file kept in git that of its blob (sha1)."""

    size: int
    digest: str

    def fault(self, file: Path) -> str:
        """How a file here differs; "" where it does not."""
        if not file.is_file():
            return "it is not there"
        if file.stat().st_size != self.size:
            return f"it has {file.stat().st_size:,} bytes, the hub says {self.size:,}"
        return "" if digest_of(file, len(self.digest)) == self.digest else "its checksum is not the hub's"


def digest_of(file: Path, digits: int) -> str:
    """sha256, or with 40 `digits` git's sha1 of a blob."""
    algorithm = hashlib.sha1() if digits == 40 else hashlib.sha256()
    if digits == 40:
        algorithm.update(f"blob {file.stat().st_size}\0".encode())
    with file.open("rb") as opened:
        for part in iter(lambda: opened.read(1 << 20), b""):
            algorithm.update(part)
    return algorithm.hexdigest()


def endpoint() -> str:
    return (os.environ.get(VARIABLE) or USUAL).rstrip("/")


def require_name(word: str) -> str:
    """Raises ValueError where it is no USER/NAME."""
    if not re.fullmatch(NAME, word):
        raise ValueError(f"{word}: expected the USER/NAME of a data set on the hub.")
    return word


def fetch(name: str, folder: Path, files: Sequence[str] | None = None, revision: str | None = None) -> str:
    """Brings a data set's files, or some of them, into `folder`, going on where an earlier call was stopped; its commit.

    Raises ValueError where the hub or one of the files cannot be had, or what came is not what the hub says.
    """
    with _said(name) as api:
        commit = str(api.repo_info(name, repo_type=KIND, revision=revision).sha)
        there = listed(api, name, commit)
        missing = [file for file in files or () if file not in there]
        if missing:
            raise ValueError(
                f"{name}: {missing[0]} is not there; it holds {', '.join(sorted(there)[:8]) or 'nothing'}."
            )
        chosen = {path: told for path, told in there.items() if files is None or path in files}
        _require_inside(name, chosen)
        total_mb = sum(told.size for told in chosen.values()) / 1e6
        with Progress("fetch (MB)", round(total_mb)) as progress, ThreadPoolExecutor(AT_ONCE) as pool:
            shown = _Shown(progress)
            fetched = [
                pool.submit(_bring, f"{endpoint()}/datasets/{name}/resolve/{commit}", folder, path, told, shown)
                for path, told in chosen.items()
            ]
            try:
                for one in fetched:
                    one.result()
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
    return commit


class _Shown:
    """Bytes of several threads as whole MB of one line."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.lock, self.bytes = progress, threading.Lock(), 0

    def add(self, count: int) -> None:
        with self.lock:
            self.bytes += count
            if whole := int(self.bytes / 1e6) - self.progress.done:
                self.progress.advance(whole)


def _require_inside(name: str, paths: Iterable[str]) -> None:
    """A hub, or who answers for it, names files; none lies outside the folder."""
    for path in paths:
        if path.startswith("/") or "\\" in path or ".." in path.split("/"):
            raise ValueError(f"{name}: the hub names a file {path!r}, which would lie outside the data set's folder.")


def _bring(address: str, folder: Path, path: str, told: Told, shown: _Shown) -> None:
    """One file, whole and compared, or ValueError; what came of it before is gone on with."""
    target = folder / path
    part = target.with_name(f".{target.name}{PART}")
    if not told.fault(target):
        return shown.add(told.size)
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.open("ab") as opened:
        if opened.tell() > told.size:
            opened.truncate(0)
        shown.add(opened.tell())
        for tried in range(1, TRIES + 1):
            if opened.tell() == told.size:
                break
            _go_on(f"{address}/{quote(path)}", opened, shown, last=tried == TRIES)
    if fault := told.fault(part):
        part.unlink()
        raise ValueError(f"{path}: {fault}; the same command fetches it again.")
    os.replace(part, target)


def _go_on(url: str, opened: IO[bytes], shown: _Shown, *, last: bool) -> None:
    """Fetches what is missing behind `opened`'s end. A connection that breaks off is said where it was the last try."""
    import httpx
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    start = opened.tell()
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        with httpx.stream("GET", url, headers=headers, follow_redirects=True, timeout=TIMEOUT_S) as answer:
            hf_raise_for_status(answer)
            if start and answer.status_code != 206:  # a mirror that begins again
                opened.truncate(0)
                shown.add(-start)
            for data in answer.iter_raw():
                opened.write(data)
                shown.add(len(data))
    except httpx.TransportError:
        if last:
            raise
    finally:
        opened.flush()


def send(folder: Path, name: str, *, private: bool, tag: str, message: str) -> str:
    """Makes the hub's data set what `folder` is, in one commit, with a tag; its address. What the hub has already is not sent
    again, so a call that was stopped goes on.

    Raises ValueError where the hub cannot be reached or refuses, or holds something else afterwards.
    """
    with _said(name) as api:
        api.create_repo(name, repo_type=KIND, private=private, exist_ok=True)
        before = set(listed(api, name, "main"))
        ours = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        ours = {path for path in ours if not path.startswith(LEFT_BY_THE_HUB)}
        gone = sorted(path for path in before - ours if not path.startswith(LEFT_BY_THE_HUB) and path != "README.md")
        api.upload_folder(
            repo_id=name, repo_type=KIND, folder_path=folder, commit_message=message,
            ignore_patterns=[f"{one}*" for one in LEFT_BY_THE_HUB], delete_patterns=[_literal(path) for path in gone] or None,
        )  # fmt: skip
        there = listed(api, name, "main")
        absent = sorted(ours - set(there))
        if absent:
            raise ValueError(f"{name}: the hub has no {absent[0]} after it was sent; push it again.")
        _require_same(name, folder, {path: there[path] for path in ours})
        _tag(api, name, tag)
    return f"{endpoint()}/datasets/{name}"


def listed(api: Any, name: str, revision: str) -> dict[str, Told]:
    """Every file of a data set, by path."""
    found = {}
    for entry in api.list_repo_tree(name, repo_type=KIND, revision=revision, recursive=True):
        if hasattr(entry, "blob_id"):
            lfs = entry.lfs
            found[entry.path] = Told(entry.size, lfs.sha256 if lfs else entry.blob_id)
    return found


def _tag(api: Any, name: str, tag: str) -> None:
    """lerobot asks for the tag of the version that it reads."""
    from huggingface_hub.errors import RevisionNotFoundError

    with suppress(RevisionNotFoundError):
        api.delete_tag(name, tag=tag, repo_type=KIND)
    api.create_tag(name, tag=tag, repo_type=KIND)


def _literal(path: str) -> str:
    """As a pattern that means this file alone."""
    return re.sub(r"([\[*?])", r"[\1]", path)


def _require_same(name: str, folder: Path, told: Mapping[str, Told]) -> None:
    for path, one in told.items():
        if fault := one.fault(folder / path):
            raise ValueError(f"{name}: {path}: {fault}; run the same command again.")


@contextmanager
def _said(name: str) -> Iterator[Any]:
    """The library, and its errors as sentences."""
    if os.environ.get(VARIABLE):
        os.environ.setdefault("HF_HUB_DISABLE_XET", "1")  # mirrors speak plain HTTP
    try:
        import httpx
        from huggingface_hub import HfApi, errors
    except ImportError as error:
        raise ValueError(
            f"{name}: the hub needs the package huggingface_hub (pip install huggingface_hub): {error}"
        ) from error
    where = endpoint()
    try:
        yield HfApi(endpoint=where)
    except errors.RepositoryNotFoundError as error:
        raise ValueError(
            f"{name}: {where} has no such data set, or not for you; is the name right? A private one needs HF_TOKEN."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ValueError(f"{name}: {where} has no such revision of it.") from error
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, httpx.HTTPError, ConnectionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{name}: {where} cannot be reached, or refuses ({reason}); the same command goes on where it was stopped. A mirror: "
            f"{VARIABLE}=https://..., who you are: HF_TOKEN."
        ) from error
