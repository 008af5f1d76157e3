"""The whole chain on real input: planned demos, rendered frames, LeRobot data, training, closed-loop evaluation."""

import json
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("outputs")
    command = [sys.executable, "-m", "pirig", "pipeline", "experiment=smoke", f"run.root={root}", "run.name=one"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return root, done


def test_summary_holds_what_it_promises(finished):
    root, _ = finished
    summary = json.loads((root / "smoke" / "one" / "summary.json").read_text())
    assert summary["task"] == "push_cube" and summary["train"]["steps"] == 10
    assert summary["eval"]["oracle"]["k"] == summary["eval"]["oracle"]["n"] == 2
    for row in ("policy", "oracle", "untrained"):
        rate = summary["eval"][row]
        assert 0 <= rate["low"] <= rate["k"] / rate["n"] <= rate["high"] <= 1


def test_run_folder_holds_what_a_person_looks_for(finished):
    folder = finished[0] / "smoke" / "one"
    for name in ("config.yaml", "contract.json", "environment.json", "status.json", "metrics.jsonl", "loss.png"):
        assert (folder / name).stat().st_size > 0, name
    assert json.loads((folder / "status.json").read_text())["state"] == "done"
    assert list(folder.rglob("*.mp4"))


def test_a_second_run_is_refused_and_a_resumed_one_repeats_nothing(finished):
    root, _ = finished
    command = [sys.executable, "-m", "pirig", "pipeline", "experiment=smoke", f"run.root={root}", "run.name=one"]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 1 and "run.mode=resume" in refused.stderr
    before = (root / "smoke" / "one" / "metrics.jsonl").read_text()
    resumed = subprocess.run([*command, "run.mode=resume"], capture_output=True, text=True)
    assert resumed.returncode == 0, resumed.stderr[-4000:]
    assert (root / "smoke" / "one" / "metrics.jsonl").read_text() == before


def test_a_checkpoint_of_another_contract_is_refused(finished):
    root, _ = finished
    command = [sys.executable, "-m", "pirig", "eval", "experiment=smoke", f"run.root={root}", "run.name=one"]
    done = subprocess.run([*command, "run.mode=resume", "control.control_hz=10"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "control_hz: 10 != 20" in done.stderr and "Traceback" not in done.stderr
