"""A sweep on this machine, through the real command line; its stages are stand-ins."""

import json
import os
import pty
import subprocess
import sys
import time

from pirig.sweeps.gpus import Shares


def test_a_bounded_pool_shares_data_skips_and_survives_a_failure(project):
    words = ("train.seed=1,13", "run.root=outputs", "hydra.launcher.workers=2")
    screen = project.sweep("pipeline", "local", *words, launcher="local", status=1)
    assert "jobs to run: 1 data, 2 train, 2 report" in screen and "seed 13 brings bad luck" in screen
    good, bad = sorted(project.runs("local").values(), key=lambda run: "-s13-" in run.name)
    assert json.loads((good / "status.json").read_text())["state"] == "done" and (good / "summary.json").is_file()
    failed = json.loads((bad / "status.json").read_text())
    assert failed["state"] == "failed" and "bad luck" in failed["error"]
    assert json.loads((good / "made.json").read_text())["code"].startswith(str(project.root / ".code"))

    again = project.sweep("pipeline", "local", *words, "sweep.dry_run=true", launcher="local")
    assert "points: 2 (1 done, 1 start); jobs to run: 1 train, 1 report" in again
    assert "1 failed" in project.pirig("runs", "outputs/local")


def test_processes_side_by_side_get_gpus_of_their_own(project, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5,6")
    words = ("run.root=outputs", "hydra.launcher.workers=3", "train.batch_size=8")
    project.sweep("train", "gpus", *words, "train.seed=1,2", "fsdp=1,2", launcher="local")
    made = [json.loads((run / "made.json").read_text()) for run in project.runs("gpus").values()]
    shares = [set(one["environment"]["CUDA_VISIBLE_DEVICES"].split(",")) for one in made]
    assert sorted(len(share) for share in shares) == [1, 1, 2, 2] and set().union(*shares) == {"3", "5", "6"}
    refused = project.sweep("train", "gpus", *words, "fsdp=8", launcher="local", status=1)
    assert "fsdp=8" in refused and "shows 3 GPUs" in refused and "Traceback" not in refused


def test_shares_are_lent_once_and_given_back():
    shares = Shares(["0", "1"])
    assert shares.take("a", 1) and not shares.take("b", 2) and shares.take("data", 0)
    assert shares.variables("a") == {"CUDA_VISIBLE_DEVICES": "0"} and shares.variables("data") == {}
    shares.give_back("a")
    assert shares.take("b", 2) and Shares([]).take("c", 8)


def test_on_a_terminal_the_table_is_live_until_the_runs_have_ended(project):
    environment = {
        **os.environ,
        "PYTHONPATH": str(project.folder / "src"),
        "TERM": "xterm",
        "COLUMNS": "200",
        "LINES": "50",
    }
    pirig = [sys.executable, "-m", "pirig"]
    sweep = [*pirig, "train", "-m", "run.experiment=live", "run.root=outputs", "train.seed=98"]
    with subprocess.Popen(sweep, env=environment, cwd=project.folder, stdout=subprocess.DEVNULL) as launched:
        while not list(project.root.glob("live/*/made.json")):
            assert launched.poll() is None
            time.sleep(0.05)
        end, terminal = pty.openpty()
        shown = subprocess.Popen([*pirig, "runs", "outputs/live"], env=environment, cwd=project.folder, stdout=terminal)
        os.close(terminal)
        screen = _read(end)
        assert shown.wait(20) == 0
    before, _, after = screen.rpartition("running")
    assert before and "done" in after and "1 run: 1 done" in after


def _read(end):
    """All that was written, until its last writer closes the terminal."""
    written = b""
    while True:
        try:
            written += os.read(end, 4096)
        except OSError:
            return written.decode()


def test_a_dry_run_without_a_sweep_is_no_run(project):
    screen = project.pirig("train", "sweep.dry_run=true", status=1)
    assert "give -m" in screen
