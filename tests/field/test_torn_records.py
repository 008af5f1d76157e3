"""Our own small files, torn or foreign: every command names the file and what to do; no number is lost or made up."""

import json
import os
import time

import pytest

from pirig.cli import main
from pirig.evaluation.measured import load
from pirig.evaluation.results import ResultsFile
from pirig.files.records import read_lines, read_record
from pirig.runs import lock
from pirig.runs.record import changes
from pirig.training.metrics import MetricsFile
from tests.comparison.run_folders import RunFolders
from tests.field.test_identity_properties import usual

EPISODE = {"seed": 3, "success": True, "success_at_end": True, "first_success": 4, "steps": 9, "seconds": 0.1}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return RunFolders(tmp_path).write("bad", policy=(1, 2))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no settings in it; expected those of a run"),
        ("[]", "no settings in it"),
        ("task: 3\n", "task is 3; expected keys below it"),
        ("train:\n", "train is None; expected keys below it"),
        ("task: {name: push_cube}\ntrain: [1, 2]\n", r"train is [1, 2]; expected keys"),
    ],
)
@pytest.mark.parametrize("verb", ["inspect", "doctor", "eval", "serve", "verify", "diagnose", "compare"])
def test_a_config_that_is_none_is_named_by_every_verb(run, capsys, verb, content, said):
    (run / "config.yaml").write_text(content)
    assert main([verb, str(run)]) == 1
    told = capsys.readouterr().err
    assert f"{run}/config.yaml: {said}" in told and "repair or move that file" in told


def test_a_resume_names_it_too(run):
    (run / "config.yaml").write_text("task: 3\n")
    with pytest.raises(ValueError, match=r"bad/config.yaml: task is 3; expected keys below it; repair"):
        changes(run, usual())


@pytest.mark.parametrize("text", ["{", "[]", "null", "{}", "\x00\x00", '{"step": 1'])
def test_a_record_that_is_none_is_named(tmp_path, text):
    file = tmp_path / "resume.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"resume.json: cannot be read \(.*\); repair or move that file\."):
        read_record(file, "step")
    file.write_text('{"step": 4}')
    assert read_record(file, "step") == {"step": 4}


@pytest.mark.parametrize("wrong", ["{", "[]", '{"loss": 1.0}', "\x00\x00"])
def test_a_line_in_the_middle_that_is_none_costs_no_other(tmp_path, wrong):
    file = tmp_path / "metrics.jsonl"
    good = [json.dumps({"step": step, "loss": 1.0}) for step in (1, 2, 3)]
    file.write_text("\n".join([good[0], wrong, *good[1:]]) + "\n")
    kept = file.read_bytes()
    with pytest.raises(ValueError, match=r"metrics.jsonl: line 2 cannot be read \(.*\); remove that line"):
        MetricsFile(tmp_path, 9)
    assert file.read_bytes() == kept
    file.write_text("\n".join([*good, wrong]))  # as a kill leaves it
    assert [row["step"] for row in MetricsFile(tmp_path, 9).rows] == [1, 2, 3]
    assert list(read_lines(tmp_path / "none.jsonl", "step")) == []


@pytest.mark.parametrize("wrong", ["{", "[]", '{"seed": 1}'])
def test_an_episode_that_is_none_is_no_result(tmp_path, wrong):
    file = tmp_path / "episodes.jsonl"
    file.write_text(f"{wrong}\n{json.dumps(EPISODE)}\n")
    with pytest.raises(ValueError, match=r"episodes.jsonl: line 1 cannot be read .* its episode is measured again"):
        ResultsFile(tmp_path)
    file.write_text(f"{json.dumps(EPISODE | {'younger': 1})}\n{wrong}")
    assert list(ResultsFile(tmp_path).done) == [3] and file.read_text().count("\n") == 1


@pytest.mark.parametrize("text", ["{", "[]", "null", '{"host": "x"}', "", "\x00"])
def test_a_lock_that_cannot_be_read_counts_by_its_heartbeat(tmp_path, capsys, text):
    """Its owner may live: only where it is silent it is taken over, and that is said."""
    file = tmp_path / lock.FILE_NAME
    file.write_text(text)
    with pytest.raises(lock.RunLocked, match="on a host that its lock does not say"), lock.held(tmp_path):
        raise AssertionError
    assert file.read_text() == text
    long_ago_s = time.time() - 2 * lock.STALE_S
    os.utime(file, (long_ago_s, long_ago_s))
    with lock.held(tmp_path):
        assert lock.owner_of(tmp_path) is not None
    assert "taken over from process 0 on a host that its lock does not say" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [{"k": 9}, {"k": -1}, {"n": None}, {"k": "1"}])
def test_more_successes_than_episodes_are_no_result(run, capsys, wrong):
    RunFolders(run.parent.parent).write("good", policy=(1, 2))
    (file,) = run.glob("eval/*/rates.json")
    rates = json.loads(file.read_text())
    file.write_text(json.dumps(rates | {"policy": rates["policy"] | wrong}))
    for command in (["compare", "sweep"], ["runs", "sweep"]):
        assert main(command) == 0
        shown = capsys.readouterr()
        assert "left out: " in shown.err + shown.out and "rates.json" in shown.err + shown.out and "good" in shown.out
    with pytest.raises(
        ValueError, match=r"rates\.json: k=.* episodes cannot be; remove that file, and `pirig eval RUN`"
    ):
        load(file.parent)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("status.json", "[]", "status.json: cannot be read (a list, expected a map)"),
        ("metrics.jsonl", '{"step": "x", "loss": 1}\n', "metrics.jsonl"),
        ("environment.json", "[1]", "environment.json: cannot be read (a list"),
        ("gates.json", "3", "gates.json: cannot be read (a int"),
    ],
)
def test_a_comparison_leaves_it_out_and_says_which_file(run, capsys, name, text, said):
    RunFolders(run.parent.parent).write("good", policy=(1, 2))
    (run / name).write_text(text)
    assert main(["compare", "sweep"]) == 0
    shown = capsys.readouterr()
    assert "warning: left out: " in shown.err and said in shown.err and "good" in shown.out
