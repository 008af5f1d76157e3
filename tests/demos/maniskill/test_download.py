"""ManiSkill's downloader against a server on loopback: fetched once, and every failure is one clear sentence."""

import functools
import http.server
import threading
import zipfile

import pytest
from mani_skill.utils.download_demo import DATASET_SOURCES

from pirig.demos.maniskill.download import fetch


@pytest.fixture
def site(tmp_path, monkeypatch):
    root = tmp_path / "site"
    root.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=root)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/PushCube-v1.zip?download=true"
    monkeypatch.setattr(DATASET_SOURCES["PushCube-v1"], "raw_dataset_url", url)
    yield root
    server.shutdown()
    server.server_close()


def serve(root, name):
    with zipfile.ZipFile(root / "PushCube-v1.zip", "w") as file:
        file.writestr(name, b"h5")


def test_the_planners_file_is_fetched_once(site, tmp_path):
    serve(site, "PushCube-v1/motionplanning/trajectory.h5")
    path = fetch("PushCube-v1", tmp_path / "cache")
    assert path.read_bytes() == b"h5"
    (site / "PushCube-v1.zip").unlink()
    assert fetch("PushCube-v1", tmp_path / "cache") == path


def test_another_layout_is_named(site, tmp_path):
    serve(site, "PushCube-v1/rl/trajectory.h5")
    with pytest.raises(ValueError, match=r"hold PushCube-v1/rl/trajectory\.h5, expected motionplanning"):
        fetch("PushCube-v1", tmp_path / "cache")


def test_no_archive_and_no_network_leave_nothing(site, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"cannot be reached.*plan the demos here"):
        fetch("PushCube-v1", tmp_path / "cache")  # 404
    monkeypatch.setattr(DATASET_SOURCES["PushCube-v1"], "raw_dataset_url", "http://127.0.0.1:9/PushCube-v1.zip")
    with pytest.raises(ValueError, match=r"cannot be reached.*plan the demos here"):
        fetch("PushCube-v1", tmp_path / "cache")
    (site / "PushCube-v1.zip").write_bytes(b"<html>")
    monkeypatch.undo()
    assert not (tmp_path / "cache" / "PushCube-v1").exists()


def test_a_task_that_is_not_published(tmp_path):
    with pytest.raises(ValueError, match="publishes no demos of PlaceSphere-v1"):
        fetch("PlaceSphere-v1", tmp_path)
