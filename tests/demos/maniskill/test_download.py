"""ManiSkill's demos from a hub on loopback: fetched once, gone on with, and every failure is one clear sentence."""

import io
import zipfile

import pytest

from pirig.demos.maniskill.download import fetch
from tests.loopback_hub import running

NAME, FILE = "haosulab/ManiSkill_Demonstrations", "demos/PushCube-v1.zip"
PLANNED = "PushCube-v1/motionplanning/trajectory.h5"


@pytest.fixture
def hub(monkeypatch):
    with running(monkeypatch) as one:
        yield one


def serve(hub, name, data=b"h5"):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        file.writestr(name, data)
    hub.files[NAME] = {FILE: target.getvalue(), "demos/StackCube-v1.zip": b"another"}


def test_the_planners_file_is_fetched_once_and_no_other(hub, tmp_path, capsys):
    serve(hub, PLANNED)
    path = fetch("PushCube-v1", tmp_path / "cache")
    assert path.read_bytes() == b"h5" and [name for name, _ in hub.sent] == [FILE]
    assert f"{NAME} of {hub.url}" in capsys.readouterr().out
    assert [one.name for one in (tmp_path / "cache").iterdir()] == ["PushCube-v1"]
    hub.files.clear()
    assert fetch("PushCube-v1", tmp_path / "cache") == path


def test_a_download_that_breaks_off_goes_on(hub, tmp_path):
    serve(hub, PLANNED, b"0123456789" * 2000)
    hub.cut = 9000
    with pytest.raises(ValueError, match=r"demos.path=download: .*goes on where it was stopped.*plan the demos here"):
        fetch("PushCube-v1", tmp_path / "cache")
    assert not (tmp_path / "cache" / "PushCube-v1").exists()
    hub.cut, hub.sent = None, []
    assert fetch("PushCube-v1", tmp_path / "cache").read_bytes() == b"0123456789" * 2000
    assert [name for name, _ in hub.sent] == [FILE] and hub.sent[0][1] >= 8000


def test_an_archive_that_a_mirror_has_changed_is_not_unpacked(hub, tmp_path):
    serve(hub, PLANNED, b"x" * 5000)
    whole = hub.files[NAME][FILE]
    hub.blobs[f"served {FILE}"] = whole[:300] + b"?" + whole[301:]
    with pytest.raises(ValueError, match=r"PushCube-v1.zip: its checksum is not the hub's"):
        fetch("PushCube-v1", tmp_path / "cache")
    assert not (tmp_path / "cache" / "PushCube-v1").exists()


def test_another_layout_is_named(hub, tmp_path):
    serve(hub, "PushCube-v1/rl/trajectory.h5")
    with pytest.raises(ValueError, match=r"hold PushCube-v1/rl/trajectory\.h5, expected motionplanning"):
        fetch("PushCube-v1", tmp_path / "cache")


def test_no_archive_no_zip_and_no_network_leave_nothing(hub, tmp_path, monkeypatch):
    hub.files[NAME] = {"README.md": b"moved"}
    with pytest.raises(
        ValueError, match=r"demos/PushCube-v1.zip is not there; it holds README.md.*plan the demos here"
    ):
        fetch("PushCube-v1", tmp_path / "cache")
    hub.files[NAME] = {FILE: b"<html>"}
    with pytest.raises(ValueError, match="no zip archive"):
        fetch("PushCube-v1", tmp_path / "cache")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ValueError, match=r"127.0.0.1:9 cannot be reached.*plan the demos here"):
        fetch("PushCube-v1", tmp_path / "other")
    assert not (tmp_path / "cache" / "PushCube-v1").exists() and not (tmp_path / "other" / "PushCube-v1").exists()


def test_a_task_that_is_not_published(tmp_path):
    with pytest.raises(ValueError, match="publishes no demos of PlaceSphere-v1"):
        fetch("PlaceSphere-v1", tmp_path)
