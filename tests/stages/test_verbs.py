"""Verbs answer one question each: doctor judges and shows nothing, inspect shows and judges nothing."""

import numpy as np
import pytest

from pirig.cli import VERBS, usage
from pirig.demos.manifest import episode_file, read_episode, write_episode
from pirig.runs.progress import newest_checkpoint
from pirig.stages import diagnose, doctor, inspect, verify
from tests.datasets.episodes import make_contract, write_dataset, write_demos

JUDGEMENTS = ("ok  ", "WRONG", "missing", "run `pirig")


@pytest.fixture
def contract():
    return make_contract()


@pytest.fixture
def demos(tmp_path, contract):
    return write_demos(tmp_path / "demos", contract, range(4))


def shown(capsys, paths):
    assert inspect.main([str(path) for path in paths]) == 0
    return capsys.readouterr().out


def test_demos_that_lack_something_are_shown_by_one_verb_and_judged_by_the_other(demos, capsys):
    episode = read_episode(episode_file(demos, 1))
    episode["actions"][0, 0] = np.nan
    write_episode(episode_file(demos, 1), episode)
    found = shown(capsys, [demos])
    assert "kept of" in found and not any(word in found for word in JUDGEMENTS)
    assert doctor.main([str(demos)]) == 1
    judged = capsys.readouterr().out
    assert "WRONG complete" in judged and "actions of step 0 are not finite" in judged and "kept of" not in judged


def test_whole_demos_and_a_recording_without_contract(demos, tmp_path, contract, capsys):
    assert doctor.main([str(demos)]) == 0 and "ok    complete" in capsys.readouterr().out
    folder = write_dataset(tmp_path / "lerobot", contract, range(3))
    for file in (folder / "meta" / "pirig").iterdir():
        file.unlink()
    (folder / "meta" / "pirig").rmdir()
    assert doctor.main([str(folder)]) == 0
    judged = capsys.readouterr().out
    assert "ok    complete" in judged and "ok    frames" in judged and "skip  contract: it has none" in judged
    assert "observation.images.base_0_rgb" in shown(capsys, [folder])


def test_a_run_and_a_checkpoint_are_shown(smoke_run, capsys):
    checkpoint = newest_checkpoint(smoke_run.folder)
    found = shown(capsys, [smoke_run.folder, checkpoint])
    assert "task=push_cube" in found and "PushCube-v1" in found and "Wilson 95 %" in found
    assert f"checkpoints: {checkpoint.name} of" in found and found.count("trained on") == 2
    assert not any(word in found for word in JUDGEMENTS)


@pytest.mark.parametrize("verb", ["eval", "runs", "compare", "inspect", "doctor", "verify", "diagnose"])
def test_a_verb_that_changes_nothing_says_its_one_question(verb):
    assert f"{verb:9} {VERBS[verb]}" in usage() and VERBS[verb].count("?") == 1


@pytest.mark.parametrize("stage", [doctor, inspect, verify, diagnose])
def test_its_help_says_the_question_first(stage, capsys):
    assert stage.main(["--help"]) == 0
    assert "?" in capsys.readouterr().out.strip().splitlines()[0]
