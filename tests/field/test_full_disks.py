"""A disk that does not take what is written: a sentence with the path, nothing left behind, the next start goes on."""

import errno
import json
import os
import resource
import signal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pirig.files import trouble
from pirig.files.atomic import replacing, write_text
from pirig.runs.lock import held


@pytest.fixture
def small_files():
    """No file of this process grows beyond 4 kB: the system refuses it in the middle of a write, without a name."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_file_that_does_not_fit_is_named_and_leaves_nothing(tmp_path, small_files):
    write_text(tmp_path / "rates.json", "old")
    with pytest.raises(OSError, match="File too large") as refused:
        write_text(tmp_path / "rates.json", "new" * 9999)
    said = trouble.sentence(refused.value)
    assert str(tmp_path / "rates.json") in said and "larger than is allowed" in said
    assert [path.name for path in tmp_path.iterdir()] == ["rates.json"]
    assert (tmp_path / "rates.json").read_text() == "old"


def test_what_arrow_says_of_the_disk_is_said_in_our_words(tmp_path, small_files):
    table = pa.table({"column": [os.urandom(64).hex() for _ in range(999)]})
    with pytest.raises(OSError, match=r"errno 27") as refused:
        pq.write_table(table, tmp_path / "rows.parquet")
    assert trouble.sentence(refused.value).startswith("the file would be larger than is allowed here: raise the limit")
    full = OSError(f"Error writing bytes to file. Detail: [errno {errno.ENOSPC}] No space left on device")
    assert trouble.sentence(full).startswith("the disk is full: make room")


@pytest.mark.parametrize("stopped", [KeyboardInterrupt, ValueError, MemoryError])
def test_whatever_ends_a_write_leaves_nothing(tmp_path, stopped):
    with pytest.raises(stopped), replacing(tmp_path / "episode_3.npz") as file:
        file.write(b"half")
        raise stopped
    assert list(tmp_path.iterdir()) == []


def test_what_killed_processes_left_goes_when_the_folder_is_written_next(tmp_path):
    gone = os.fork()
    if not gone:
        os._exit(0)
    os.waitpid(gone, 0)
    for name in (f".stages.json.{gone}.tmp", f"..lock.{gone}.tmp", ".of-a-user.tmp", f".stages.json.{os.getpid()}.tmp"):
        (tmp_path / name).write_text(json.dumps(name))
    with held(tmp_path):
        there = {path.name for path in tmp_path.iterdir()}
    assert there >= {".of-a-user.tmp", f".stages.json.{os.getpid()}.tmp"}
    assert not there & {f".stages.json.{gone}.tmp", f"..lock.{gone}.tmp"}
