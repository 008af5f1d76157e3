"""The whole chain on real input: planned demos, rendered frames, LeRobot data, training, closed-loop evaluation."""

import json
import subprocess
import sys


def test_summary_holds_what_it_promises(smoke_run):
    summary = json.loads((smoke_run.folder / "summary.json").read_text())
    assert summary["task"] == "push_cube" and summary["train"]["steps"] == 10
    assert summary["eval"]["oracle"]["k"] == summary["eval"]["oracle"]["n"] == 2
    for row in ("policy", "oracle", "untrained"):
        rate = summary["eval"][row]
        assert 0 <= rate["low"] <= rate["k"] / rate["n"] <= rate["high"] <= 1
    assert str(smoke_run.folder) in smoke_run.screen


def test_run_folder_holds_what_a_person_looks_for(smoke_run):
    for name in ("config.yaml", "contract.json", "environment.json", "status.json", "metrics.jsonl", "loss.png"):
        assert (smoke_run.folder / name).stat().st_size > 0, name
    assert json.loads((smoke_run.folder / "status.json").read_text())["state"] == "done"
    assert list(smoke_run.folder.rglob("*.mp4")) and list(smoke_run.folder.rglob("sheet.png"))
    gates = json.loads((smoke_run.folder / "gates.json").read_text())
    assert gates["found"]["demo_replay"] == [] and gates["skipped"] == []


def test_a_second_run_is_refused_and_a_resumed_one_repeats_nothing(smoke_run):
    refused = subprocess.run(smoke_run.command, capture_output=True, text=True)
    assert refused.returncode == 1 and "run.mode=resume" in refused.stderr
    before = (smoke_run.folder / "metrics.jsonl").read_text()
    resumed = subprocess.run([*smoke_run.command, "run.mode=resume"], capture_output=True, text=True)
    assert resumed.returncode == 0, resumed.stderr[-4000:]
    assert (smoke_run.folder / "metrics.jsonl").read_text() == before


def test_a_checkpoint_of_another_contract_is_refused(smoke_run):
    command = [word if word != "pipeline" else "eval" for word in smoke_run.command]
    done = subprocess.run([*command, "run.mode=resume", "control.control_hz=10"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "control_hz: 10 != 20" in done.stderr and "Traceback" not in done.stderr


def test_a_run_folder_is_evaluated_by_its_name(smoke_run):
    command = [sys.executable, "-m", "pirig", "eval", str(smoke_run.folder), "eval.episodes=2"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "oracle     2/2" in done.stdout
