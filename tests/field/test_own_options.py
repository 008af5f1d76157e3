"""Verbs that read their own options: numbers with domains, nearest words, places that are asked before anything is recorded."""

import errno
import os

import numpy as np
import pytest

from pirig.cli import AGAIN, guarded, main
from pirig.files import identity
from pirig.robots.collect import Recorder
from pirig.robots.door import Reading
from pirig.robots.episode import Episode
from pirig.robots.keys import ENTER
from pirig.stages import client, collect, robot


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("client --count 0", "--count: expected a whole number of at least 1 and at most 1,000,000, found '0'."),
        ("client --count 1e3", "--count: expected a whole number of at least 1"),
        ("client --clients 100000", "--clients: expected a whole number of at least 1 and at most 1,024, found '100000'."),
        ("client --wait nan", "--wait: expected a number of at least 0 and at most 86,400, found 'nan'."),
        ("client --wait inf", "--wait: expected a number"),
        ("client --wait -1", "--wait: expected a number"),
        ("client --cuont 3", "--cuont: there is no such option; did you mean --count?"),
        ("collect d --taks x", "--taks: there is no such option; did you mean --task?"),
        ("collect d", "what is missing: --task."),
        ("collect d --task x --rate nan", "--rate: expected a number of at least 0.1 and at most 200, found 'nan'."),
        ("collect d --task x --rate 1e-9", "--rate: expected a number"),
        ("collect d --task x --episodes -1", "--episodes: expected a whole number of at least 0"),
        ("collect d --task=", "--task: expected a sentence, found ''."),
        ("robot --dry-run --seconds nan", "--seconds: expected a number above 0 and at most 86,400, found 'nan'."),
        ("robot --dry-run --seconds 1e99", "--seconds: expected a number"),
        ("robot --speed nan", "--speed: expected a number above 0 and at most 1, found 'nan'."),
        ("robot --driver-rate 0", "--driver-rate: expected a whole number of at least 1 and at most 1,000, found '0'."),
        ("robot --execute 2.5", "--execute: expected a whole number"),
        ("robot --dry-rnu", "--dry-rnu: there is no such option; did you mean --dry-run?"),
        ("weights ftech pi05_base", "ftech: expected one of fetch, verify, export; did you mean fetch?"),
        ("weights verify x --model pi5", "--model=pi5: expected one of pi0, pi05; did you mean pi05?"),
        ("weights verify x --siez tiny", "--siez: there is no such option; did you mean --size?"),
        ("compare x --jsn", "--jsn: there is no such option; did you mean --json?"),
        ("compare", "what is missing: RUN | DIR."),
    ],
)  # fmt: skip
def test_a_wrong_word_is_one_sentence(words, said, capsys):
    assert main(words.split(" ")) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.startswith(f"pirig: {said}") and told.err.count("\n") == 1
    assert f"`pirig {words.split()[0]}" in told.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("client --layout libreo", "unknown layout 'libreo'; expected one of"),
        ("client ws://127.0.0.1:99999", "ws://127.0.0.1:99999: expected an address such as ws://127.0.0.1:8000"),
        ("client ws://127.0.0.1:x", "ws://127.0.0.1:x: expected an address"),
        ("robot bogus --dry-run", "bogus: expected an address"),
        ("robot --robot simualted", "robot 'simualted': expected one of simulated, kortex"),
        ("robot --dry-run --log /proc/none", "/proc/none/libero_format: episodes cannot be written there"),
        ("collect /proc/none --task x", "/proc/none/libero_format: episodes cannot be written there"),
        ("collect d --task x --robot kotrex", "expected one of simulated, kortex (src/pirig/robots/door.py); did you mean"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_before_anything_waits(words, said, capsys):
    assert main(words.split()) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("verb", [client, collect, robot])
def test_help_is_no_mistake(verb, capsys):
    assert verb.main(["--help"]) == 0 and "usage: pirig" in capsys.readouterr().out


def test_who_is_stopped_is_told_to_go_on_only_where_that_works(capsys):
    def stop():
        raise KeyboardInterrupt

    assert guarded(stop, "") == 130 and capsys.readouterr().err == "pirig: stopped\n"
    assert guarded(stop) == 130 and AGAIN in capsys.readouterr().err


class Still:
    """An arm whose camera ends after `most` readings."""

    def __init__(self, most=1000):
        self.left = most

    def read(self):
        self.left -= 1
        if self.left < 0:
            raise ValueError("camera base_0_rgb: no picture came")
        picture = np.zeros((4, 4, 3), np.uint8)
        return Reading(np.zeros(7, np.float32), 0.0, {"base_0_rgb": picture, "left_wrist_0_rgb": picture}, 0.0)


class Pressed:
    """Keys by tick; an exception is raised in its place."""

    def __init__(self, **keys):
        self.keys, self.tick = {int(name.removeprefix("at")): key for name, key in keys.items()}, -1

    def pressed(self):
        self.tick += 1
        key = self.keys.get(self.tick, "")
        if isinstance(key, BaseException):
            raise key
        return key


class Instant:
    def now_s(self):
        return 0.0

    def sleep_until(self, time_s):
        pass


def recorder(folder, keys, robot=None):
    said = []
    made = Recorder(robot or Still(), keys, Instant(), folder, "Try", 10.0, said.append)
    return made, said


def lengths(folder):
    return [len(np.load(file)["states"]) for file in sorted((folder / "libero_format").glob("*.npz"))]


def test_an_open_episode_is_kept_however_recording_ends(tmp_path):
    made, _ = recorder(tmp_path / "stopped", Pressed(at0=ENTER, at12=KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        made.run()
    assert lengths(tmp_path / "stopped") == [11]
    made, said = recorder(tmp_path / "broken", Pressed(at0=ENTER), Still(9))
    with pytest.raises(ValueError, match="no picture came"):
        made.run()
    assert lengths(tmp_path / "broken") == [8]
    assert any("the episode of 8 frames that was open ends here: camera base_0_rgb" in line for line in said)


def full(monkeypatch, times):
    """A disk that is full for the first so many episodes."""
    save, tries = Episode.save, []

    def saved(self, data, name):
        tries.append(name)
        if len(tries) <= times:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(data))
        return save(self, data, name)

    monkeypatch.setattr(Episode, "save", saved)


def test_an_episode_that_the_disk_does_not_take_is_not_lost(tmp_path, monkeypatch):
    full(monkeypatch, 1)
    made, said = recorder(tmp_path, Pressed(at0=ENTER, at8=ENTER, at20=ENTER, at21="q"))
    made.run()
    assert lengths(tmp_path) == [7] and any("NOT saved: 7 frames (No space left on device)" in line for line in said)


@pytest.mark.parametrize("times", [1, 2])
def test_at_the_end_the_disk_is_asked_twice_and_then_it_is_an_error(tmp_path, monkeypatch, times):
    full(monkeypatch, times)
    made, _ = recorder(tmp_path, Pressed(at0=ENTER, at8="q"))
    if times == 1:
        made.run()
        assert lengths(tmp_path) == [7]
    else:
        with pytest.raises(OSError, match="No space left"):
            made.run()


def test_a_folder_that_is_named_and_empty_has_a_digest_of_its_own(tmp_path):
    (tmp_path / "a").write_text("x")
    assert identity.digest_of_tree(tmp_path, {}) != identity.digest_of_tree(tmp_path)
