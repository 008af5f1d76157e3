"""A public Google bucket, read anonymously through its JSON API; or a mirror that answers like it."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pirig.weights.crc32c import BLOCK_BYTES, Crc32c

GOOGLE, SETTING = "https://storage.googleapis.com", "PIRIG_WEIGHTS_URL"
CHUNK_BYTES, TIMEOUT_S = 1 << 18, 60.0
TRIES, FIRST_PAUSE_S = 5, 0.5  # tries in a row that bring nothing; the pause doubles
PASSING = (408, 429, 500, 502, 503, 504)  # HTTP answers worth another try
FIELDS = "nextPageToken,items(name,size,md5Hash,crc32c)"


class FetchError(ValueError):
    """Weights could not be fetched; the message says which address and what to do."""


class Stopped(Exception):
    """Another file failed or the user stopped: leave the part where it is."""


@dataclass(frozen=True)
class RemoteFile:
    """One object: its whole `name` in the bucket, bytes, and base64 checksums ("" where the listing has none)."""

    name: str
    size: int
    md5: str = ""
    crc32c: str = ""


@dataclass(frozen=True)
class Bucket:
    """`api` is the address in front of /storage/v1/b/<name>/o."""

    api: str
    name: str

    def list_url(self, prefix: str, page: str = "") -> str:
        query = {"prefix": prefix, "fields": FIELDS} | ({"pageToken": page} if page else {})
        return f"{self.api}/storage/v1/b/{self.name}/o?{urllib.parse.urlencode(query)}"

    def media_url(self, file: RemoteFile) -> str:
        return f"{self.api}/storage/v1/b/{self.name}/o/{urllib.parse.quote(file.name, safe='')}?alt=media"

    def files(self, prefix: str) -> list[RemoteFile]:
        """Every object under `prefix`, all pages. Raises FetchError."""
        files: list[RemoteFile] = []
        page = ""
        while True:
            answer = self._json(self.list_url(prefix, page))
            files += [_remote_file(item) for item in answer.get("items", ()) if not item["name"].endswith("/")]
            page = answer.get("nextPageToken", "")
            if not page:
                return files

    def _json(self, url: str) -> dict[str, Any]:
        def ask() -> dict[str, Any]:
            with urllib.request.urlopen(url, timeout=TIMEOUT_S) as reply:
                return json.loads(reply.read())

        return _patiently(ask, url)


def api_base(url: str | None = None) -> str:
    """The setting `url`, else the environment's PIRIG_WEIGHTS_URL, else Google's address."""
    return (url or os.environ.get(SETTING) or GOOGLE).rstrip("/")


def download(
    bucket: Bucket, file: RemoteFile, part: Path, received: Callable[[int], None], stop: threading.Event
) -> None:
    """Bring `part` to the file's size, going on where it ends. `received` hears byte counts, negative on a restart.

    Raises FetchError after TRIES tries in a row that brought nothing, Stopped when `stop` is set.
    """
    url, tries = bucket.media_url(file), 0
    part.touch()
    while (had := _size(part)) != file.size:
        if stop.is_set():
            raise Stopped
        if had > file.size:  # of an older object
            part.write_bytes(b"")
            received(-file.size)
            continue
        try:
            _append(url, file, part, received, stop)
            error: Exception = ConnectionError("the connection ended early")
        except (OSError, http.client.HTTPException) as problem:
            error = problem
        tries = 0 if _size(part) > had else tries + 1
        if tries and (_hopeless(error) or tries >= TRIES):
            raise FetchError(unreachable(url, error)) from error
        if tries:
            stop.wait(FIRST_PAUSE_S * 2 ** (tries - 1))


def _append(url: str, file: RemoteFile, part: Path, received: Callable[[int], None], stop: threading.Event) -> None:
    """One request: the rest of the file onto `part`."""
    had = _size(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={had}-"} if had else {})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:
        if had and reply.status != 206:  # a mirror without Range sends all of it
            received(-had)
            had = 0
        with open(part, "ab" if had else "wb") as out:
            while data := reply.read(CHUNK_BYTES):
                if stop.is_set():
                    raise Stopped
                out.write(data)
                received(len(data))


def damage(path: Path, file: RemoteFile, checksums: bool = True) -> str:
    """What is wrong with a local copy ("" if nothing): absent, its size, or its md5 (crc32c where there is no md5)."""
    if not path.is_file():
        return "is absent"
    if path.stat().st_size != file.size:
        return f"has {path.stat().st_size} bytes, the bucket's has {file.size}"
    name, expected = ("md5", file.md5) if file.md5 else ("crc32c", file.crc32c)
    if not checksums or not expected:
        return ""
    digest: Any = hashlib.md5(usedforsecurity=False) if name == "md5" else Crc32c()
    with open(path, "rb") as content:
        while data := content.read(BLOCK_BYTES):
            digest.update(data)
    stored = base64.b64encode(digest.digest()).decode()
    return "" if stored == expected else f"has {name} {stored}, the bucket's has {expected}"


def unreachable(url: str, error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    if isinstance(error, urllib.error.HTTPError):
        reason = f"HTTP {error.code} {error.reason}"
    reason = getattr(reason, "strerror", None) or reason
    address = url.split("?")[0]
    return (
        f"cannot read {address} ({reason}); without network, copy the checkpoint folder to this machine and give "
        f"weights.path=FOLDER, or name a mirror with weights.url=URL or {SETTING}=URL"
    )


def _patiently(ask: Callable[[], dict[str, Any]], url: str) -> dict[str, Any]:
    for tries in range(1, TRIES + 1):
        try:
            return ask()
        except (OSError, http.client.HTTPException, json.JSONDecodeError) as error:
            if _hopeless(error) or tries == TRIES:
                raise FetchError(unreachable(url, error)) from error
            time.sleep(FIRST_PAUSE_S * 2 ** (tries - 1))
    raise AssertionError


def _hopeless(error: Exception) -> bool:
    """True where another try would end the same: no such host, nobody listens, not found, forbidden."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code not in PASSING
    reason = getattr(error, "reason", error)
    return isinstance(reason, socket.gaierror | ConnectionRefusedError)


def _remote_file(item: dict[str, Any]) -> RemoteFile:
    return RemoteFile(item["name"], int(item["size"]), item.get("md5Hash", ""), item.get("crc32c", ""))


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
