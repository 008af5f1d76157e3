"""Nothing is half-written."""

import os
import subprocess
import sys

import pytest

from pirig.files.atomic import staging_folder, write_text
from pirig.files.progress import Progress, clock


def test_folder_appears_only_when_complete(tmp_path):
    final = tmp_path / "set"
    with staging_folder(final) as folder:
        (folder / "a").write_text("1")
        assert not final.exists()
    assert (final / "a").read_text() == "1"
    assert os.listdir(tmp_path) == ["set"]


def test_error_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), staging_folder(tmp_path / "set") as folder:
        (folder / "a").write_text("1")
        raise RuntimeError
    assert os.listdir(tmp_path) == []


def test_existing_folder_is_kept(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine").write_text("x")
    with pytest.raises(FileExistsError, match="exists already"), staging_folder(tmp_path / "set"):
        pass
    assert (tmp_path / "set" / "mine").read_text() == "x"


def test_left_over_of_a_killed_process_is_cleared(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from pirig.files.atomic import staging_folder\n"
        "with staging_folder(Path(sys.argv[1])) as f:\n (f/'half').write_text('1'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "set")])
    assert [name for name in os.listdir(tmp_path) if name.startswith(".set.staging-")]
    with staging_folder(tmp_path / "set") as folder:
        (folder / "whole").write_text("1")
    assert os.listdir(tmp_path) == ["set"]
    assert os.listdir(tmp_path / "set") == ["whole"]


def test_write_text_replaces_whole(tmp_path):
    write_text(tmp_path / "deep" / "file", "one")
    write_text(tmp_path / "deep" / "file", "two")
    assert (tmp_path / "deep" / "file").read_text() == "two"
    assert os.listdir(tmp_path / "deep") == ["file"]


def test_progress_ends_with_its_count(capsys):
    with Progress("replay", 2) as progress:
        progress.advance(note="kept 1/1")
        progress.advance(note="kept 2/2")
    assert "replay: 2/2" in capsys.readouterr().err


def test_clock():
    assert [clock(s) for s in (0, 59.6, 90, 3700)] == ["0:00", "1:00", "1:30", "1:01:40"]
