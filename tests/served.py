"""`pirig serve` as a process of its own."""

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def served(*words: str) -> Iterator[tuple[int, str]]:
    """(its port, what it has said until it was ready) of `pirig serve WORDS`."""
    command = [sys.executable, "-m", "pirig", "serve", *words, "serve.port=0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if line.startswith("ready"):
            break
    address = re.search(r"ws://127.0.0.1:(\d+)", said)
    try:
        assert address and "ready " in said, said
        yield int(address[1]), said
    finally:
        process.kill()
        process.wait()
