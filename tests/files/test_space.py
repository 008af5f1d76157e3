"""A full disk is said in one line, before or after it happened."""

import errno

import pytest

from pirig import cli
from pirig.files.space import require_space


def test_a_folder_that_is_not_there_yet_has_the_room_of_its_disk(tmp_path):
    require_space(tmp_path / "a" / "b", 1, "one byte")
    with pytest.raises(ValueError, match=r"a/b: all of it: 1000000000000\.0 GB; .* GB are free; make room"):
        require_space(tmp_path / "a" / "b", 1e21, "all of it")
    assert not (tmp_path / "a").exists()


def test_a_command_that_meets_a_full_disk_ends_with_one_line(monkeypatch, capsys):
    def full(arguments):
        raise OSError(errno.ENOSPC, "No space left on device", "file")

    monkeypatch.setattr("pirig.stages.doctor.main", full)
    assert cli.main(["doctor"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("pirig: file: the disk is full") and "run the same command again" in said
    assert len(said.splitlines()) == 1

    def other(arguments):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("pirig.stages.doctor.main", other)
    assert cli.main(["doctor"]) == 1
    assert "the disk does not answer as it should" in capsys.readouterr().err
