"""What the system refused, in one sentence with the path and what to do; and a reader of our output that went away."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

AGAIN = "then run the same command again"
ABSENT = "there is none and none can be made here; is the path right (run.root=FOLDER, demos.path=...)?"
SENTENCES = {
    errno.ENOSPC: f"the disk is full: make room, {AGAIN} to go on",
    errno.EFBIG: f"the file would be larger than is allowed here: raise the limit (ulimit -f unlimited), {AGAIN}",
    errno.EDQUOT: f"your share of the disk is full: make room, {AGAIN} to go on",
    errno.EROFS: f"this place can only be read: choose another folder (run.root=FOLDER), {AGAIN}",
    errno.EACCES: f"this user may not do that there: choose another folder (run.root=FOLDER) or ask for the rights, {AGAIN}",
    errno.EPERM: f"this user may not do that there: choose another folder (run.root=FOLDER) or ask for the rights, {AGAIN}",
    errno.ENOTDIR: "a part of this path is a file, not a folder: give another folder",
    errno.EISDIR: "this is a folder, and a file was expected: give the file",
    errno.ENAMETOOLONG: "this name is too long for the file system: give a shorter run.name or folder",
    errno.EMFILE: "too many files are open: raise the limit (ulimit -n 4096)",
    errno.ENFILE: "too many files are open on this machine: close what is not needed",
    errno.EIO: "the disk does not answer as it should: look at the machine's log (dmesg)",
    errno.ESTALE: f"the file server moved or lost this file: {AGAIN}",
    errno.ELOOP: "its links go round in a circle: give the real folder",
    errno.ENOMEM: "the machine has no memory left: end other processes, or choose a smaller batch",
    errno.ETIMEDOUT: "nothing answered in time: is there a network?",
    errno.ECONNREFUSED: "nothing answers at this address: is the address right, and is there a network?",
}


def sentence(error: OSError) -> str:
    """The path, what happened and what to do. Errors that were made with a sentence keep it."""
    if error.errno is None or error.strerror is None:
        told = re.search(r"\[errno (\d+)\]", str(error))  # as Arrow says what the system said
        reason = SENTENCES.get(int(told[1]), "") if told else ""
        return f"{reason} ({os.strerror(int(told[1]))})" if told and reason else str(error) or type(error).__name__
    where = " and ".join(str(path) for path in (error.filename, error.filename2) if path is not None)
    reason = SENTENCES.get(error.errno, "")
    if error.errno in (errno.ENOENT, errno.EEXIST):
        reason = "it is there already" if error.errno == errno.EEXIST else ABSENT
    parts = [part for part in (where, reason or error.strerror) if part]
    return ": ".join(parts) + (f" ({error.strerror})" if reason and error.errno != errno.EEXIST else "")


class _Reader:
    """A stream that drops what nobody reads any more: the work goes on."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            leave(self._stream)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            leave(self._stream)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __eq__(self, other: object) -> bool:
        """It is the stream that it stands for: absl's log handler closes what is none of sys's own."""
        return self._stream is getattr(other, "_stream", other)

    def __hash__(self) -> int:
        return hash(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def outlived_readers() -> Iterator[None]:
    """Inside, a closed pipe behind stdout or stderr (`| head`) costs the process nothing but its output."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, _Reader(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stdout, sys.stderr = before


def leave(*streams: TextIO) -> None:
    """What is written to these (usually stdout) goes nowhere, so that the interpreter's last flush does not complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams or (sys.stdout,):
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def write_any_letter() -> None:
    """Letters that the terminal's encoding lacks are written as their number (\\xfc), and no error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
