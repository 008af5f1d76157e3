"""Fetching from a bucket on loopback, with the faults that real buckets, proxies and disks have."""

import random
import stat
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from pirig.config.schema import WeightsConfig
from pirig.files import space
from pirig.weights import bucket as bucket_module
from pirig.weights import fetch as fetch_module
from pirig.weights.bucket import FetchError
from pirig.weights.crc32c import Crc32c
from pirig.weights.fetch import damaged, fetch, fetch_file, resolve
from tests.weights.bucket_server import BucketServer

ADDRESS, PREFIX = "gs://assets/checkpoints/small", "checkpoints/small/"
BIG = PREFIX + "params/d/big"


def contents():
    draw = random.Random(0)
    return {
        BIG: draw.randbytes(700_000),
        PREFIX + "params/_METADATA": b"{}",
        PREFIX + "params/manifest.ocdbt": draw.randbytes(1000),
        PREFIX + "params/empty": b"",
        PREFIX + "params/d/": b"",
        PREFIX + "train_state/d/moments": draw.randbytes(100),
        PREFIX + "assets/droid/norm_stats.json": b"{}\n",
        "checkpoints/small_other/params/_METADATA": b"not ours",
    }


EXPECTED = {name.removeprefix(PREFIX) for name in contents() if name.startswith(PREFIX) and not name.endswith("/")} - {
    "train_state/d/moments"
}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(bucket_module, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("PIRIG_WEIGHTS_URL", raising=False)


@pytest.fixture
def server():
    with BucketServer(contents()) as running:
        yield running


def files_in(folder):
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return found - {fetch_module.RECORD}


def same(server, folder):
    assert files_in(folder) == EXPECTED
    return all((folder / name).read_bytes() == server.objects[PREFIX + name] for name in EXPECTED)


def test_a_folder_arrives_whole_and_only_it(server, tmp_path):
    folder = fetch(ADDRESS, url=server.url, cache=tmp_path)
    assert folder == tmp_path / "assets" / "checkpoints" / "small"
    assert same(server, folder)
    assert server.requests["listing"] == 4  # seven objects, two a page
    assert {path.name for path in folder.parent.iterdir()} == {"small", ".small.lock"}
    assert stat.S_IMODE((folder / "params").stat().st_mode) & 0o070 == 0o070
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o060 == 0o060 for path in folder.rglob("*") if path.is_file())


def test_the_cache_is_used_without_a_server(server, tmp_path):
    first = fetch(ADDRESS, url=server.url, cache=tmp_path)
    assert fetch(ADDRESS, url="http://127.0.0.1:1", cache=tmp_path) == first


def test_the_mirror_and_the_cache_are_settings(server, tmp_path, monkeypatch):
    monkeypatch.setenv("PIRIG_CACHE", str(tmp_path / "shared"))
    monkeypatch.setenv("PIRIG_WEIGHTS_URL", server.url + "/")
    folder = resolve(WeightsConfig(name="local", path=ADDRESS, kind="pi05"))
    assert folder == tmp_path / "shared" / "assets" / "checkpoints" / "small" and same(server, folder)
    assert resolve(WeightsConfig(name="scratch")) is None
    assert resolve(WeightsConfig(name="local", path=str(folder))) == folder
    with pytest.raises(ValueError, match=r"weights=local: give weights\.path=FOLDER"):
        resolve(WeightsConfig(name="local", kind="pi05"))
    with pytest.raises(ValueError, match="there is no such folder"):
        resolve(WeightsConfig(name="local", path=str(tmp_path / "nothing")))


@pytest.mark.parametrize("fault", ["cut", "503"])
def test_a_break_is_mended(server, tmp_path, fault):
    server.faults = {BIG: [fault], "listing": ["503"]}
    assert same(server, fetch(ADDRESS, url=server.url, cache=tmp_path))
    assert server.requests[BIG] == 2
    assert [name for name, _ in server.ranges] == ([BIG] if fault == "cut" else [])


def test_many_cuts_in_a_row_go_on_where_they_stopped(server, tmp_path):
    server.faults = {BIG: ["cut"] * 8}
    assert same(server, fetch(ADDRESS, url=server.url, cache=tmp_path))
    starts = [start for _, start in server.ranges]
    assert len(starts) == 8 and starts == sorted(set(starts))


def test_a_mirror_without_range(server, tmp_path):
    server.faults = {BIG: ["cut", "no range"]}
    assert same(server, fetch(ADDRESS, url=server.url, cache=tmp_path))


@pytest.mark.parametrize("md5", [True, False])
def test_a_corrupted_file_is_named_and_fetched_again(tmp_path, capsys, md5):
    with BucketServer(contents(), md5=md5) as server:
        server.faults = {BIG: ["corrupt"]}
        assert same(server, fetch(ADDRESS, url=server.url, cache=tmp_path))
    assert f"{BIG} is corrupted: it has {'md5' if md5 else 'crc32c'}" in capsys.readouterr().out


def test_always_corrupted_is_an_error_and_leaves_nothing_that_looks_whole(server, tmp_path):
    server.always_corrupt = {BIG}
    with pytest.raises(FetchError, match=r"big.*twice.*weights\.url"):
        fetch(ADDRESS, url=server.url, cache=tmp_path)
    assert server.requests[BIG] == 2
    assert not (tmp_path / "assets" / "checkpoints" / "small").exists()
    server.always_corrupt = set()
    assert same(server, fetch(ADDRESS, url=server.url, cache=tmp_path))


def test_damage_in_the_cache_is_found_and_mended(server, tmp_path, capsys):
    folder = fetch(ADDRESS, url=server.url, cache=tmp_path)
    (folder / "params/manifest.ocdbt").write_bytes(b"short")
    fetch(ADDRESS, url=server.url, cache=tmp_path)
    assert "manifest.ocdbt has 5 bytes" in capsys.readouterr().out
    assert same(server, folder)
    content = bytearray((folder / "params/d/big").read_bytes())
    content[1000] ^= 4
    (folder / "params/d/big").write_bytes(content)
    assert list(damaged(folder)) == ["params/d/big"]
    fetch(ADDRESS, url=server.url, cache=tmp_path, recheck=True)
    assert same(server, folder) and server.requests[BIG] == 2


def test_one_file_alone(server, tmp_path):
    address = "gs://assets/" + BIG
    server.faults = {BIG: ["corrupt", "cut"]}
    path = fetch_file(address, url=server.url, cache=tmp_path)
    assert path.read_bytes() == server.objects[BIG]
    assert fetch_file(address, url="http://127.0.0.1:1", cache=tmp_path) == path
    with pytest.raises(FetchError, match="the bucket has no such file"):
        fetch_file(address[:-1], url=server.url, cache=tmp_path)


def test_no_network_is_one_clear_sentence(tmp_path):
    with pytest.raises(FetchError, match=r"127\.0\.0\.1:1/storage/v1/b/assets/o .*weights\.path=FOLDER"):
        fetch(ADDRESS, url="http://127.0.0.1:1", cache=tmp_path)


def test_what_is_not_there_is_said(server, tmp_path):
    with pytest.raises(FetchError, match="the bucket has nothing there; known are pi05_base"):
        fetch("gs://assets/checkpoints/smal", url=server.url, cache=tmp_path)
    with pytest.raises(FetchError, match="HTTP 404"):
        fetch("gs://other/checkpoints/small", url=server.url, cache=tmp_path)
    for name in ("pi06_base", "gs://assets", "gs://assets/../x"):
        with pytest.raises(FetchError, match="expected gs://BUCKET/FOLDER or one of"):
            fetch(name, url=server.url, cache=tmp_path)


def test_a_listing_cannot_write_outside(tmp_path):
    with (
        BucketServer({PREFIX + "../../../evil": b"x"}) as server,
        pytest.raises(FetchError, match="names a file outside"),
    ):
        fetch(ADDRESS, url=server.url, cache=tmp_path)


def test_a_full_disk_is_said_before(server, tmp_path, monkeypatch):
    monkeypatch.setattr(space.shutil, "disk_usage", lambda _: SimpleNamespace(free=10, total=10**12))
    with pytest.raises(ValueError, match=r"what is missing of the weights: 0\.0 GB.*folder on a larger disk"):
        fetch(ADDRESS, url=server.url, cache=tmp_path)


FETCHER = "import sys; from pirig.weights.fetch import fetch; from pathlib import Path; "
FETCHER += "print(fetch(sys.argv[1], url=sys.argv[2], cache=Path(sys.argv[3])))"


def start_fetcher(server, cache):
    command = [sys.executable, "-c", FETCHER, ADDRESS, server.url, str(cache)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_fetch_once(server, tmp_path):
    quick_fault = server.fault
    server.fault = lambda name: (time.sleep(1.0 if name == BIG else 0.0), quick_fault(name))[1]
    both = [start_fetcher(server, tmp_path) for _ in range(2)]
    outputs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert sum("waiting for it" in output for output, _ in outputs) == 1
    assert same(server, tmp_path / "assets" / "checkpoints" / "small")
    assert server.requests[BIG] == 1


def test_a_killed_fetch_goes_on(tmp_path):
    with BucketServer(contents()) as server:
        gate = threading.Event()
        slow = server.fault

        def fault(name):
            if name == BIG and server.requests[BIG] == 1:
                gate.set()
                time.sleep(60)  # the second request hangs until the process is killed
            return slow(name)

        server.fault = fault
        server.faults = {BIG: ["cut"]}
        process = start_fetcher(server, tmp_path)
        assert gate.wait(60)
        process.kill()
        process.communicate()
        server.fault = slow
        partial = tmp_path / "assets" / "checkpoints" / ".small.partial"
        assert (partial / "params/d/big.part").stat().st_size == 350_000
        assert same(server, fetch(ADDRESS, url=server.url, cache=tmp_path))
        assert server.ranges[-1] == (BIG, 350_000)
        assert not partial.exists()


def test_crc32c_is_castagnolis():
    for pieces in ([b"123456789"], [b"1234", b"56789"]):
        crc = Crc32c()
        for piece in pieces:
            crc.update(piece)
        assert crc.digest().hex() == "e3069283"  # the check value of CRC-32/ISCSI
    data, whole, parts = random.Random(1).randbytes(5_000_001), Crc32c(), Crc32c()
    whole.update(data)
    for piece in (data[:7], data[7:4_300_000], data[4_300_000:]):
        parts.update(piece)
    assert whole.digest() == parts.digest()
