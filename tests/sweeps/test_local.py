"""A sweep on this machine, through the real command line; its stages are stand-ins."""

import json


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
    assert "2 points: 1 done, 1 start; jobs to run: 1 train, 1 report" in again
    assert "1 failed" in project.pirig("runs", "outputs/local")


def test_a_dry_run_without_a_sweep_is_no_run(project):
    screen = project.pirig("train", "sweep.dry_run=true", status=1)
    assert "give -m" in screen
