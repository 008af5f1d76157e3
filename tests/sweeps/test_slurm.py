"""Sweeps on a real SLURM. The stages are stand-ins; their jobs, arrays, GPUs, dependencies and states are SLURM's own."""

import json
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("cluster")]


def state(job: str) -> str:
    asked = ["squeue", "--noheader", "--array", "--states=all", f"--jobs={job}", "--format=%T"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def wait_for(job: str, *states: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while state(job) not in states:
        assert time.monotonic() < end, f"{job} is {state(job)}, expected {states}"
        time.sleep(0.2)


def made(run: Path) -> dict:
    return json.loads((run / "made.json").read_text())


def test_two_resource_classes_and_a_failing_point(project):
    words = ("train.seed=1,13", "fsdp=1,8", "train.batch_size=8")
    screen = project.sweep("train", "classes", *words, status=1)
    assert "jobs that did not come to their end: 2" in screen
    jobs = project.jobs("classes")
    arrays: dict[str, set[int]] = {}
    for run, entry in jobs.items():
        gpus = len(made(run)["environment"]["CUDA_VISIBLE_DEVICES"].split(","))
        arrays.setdefault(entry["job"].split("_")[0], set()).add(gpus)
        bad = "-s13-" in run.name
        assert state(entry["job"]) == ("FAILED" if bad else "COMPLETED")
        assert (run / "checkpoints").is_dir() != bad
        if bad:
            log = Path(entry["log"]).read_text()
            assert "Traceback" in log and "seed 13 brings bad luck" in log
    assert sorted(map(sorted, arrays.values())) == [[1], [8]]

    table = project.pirig("runs", "outputs/classes")
    assert "4 runs: 2 done, 2 failed" in table and "seed 13 brings bad luck" in table

    second = project.sweep("train", "classes", *words, status=1)
    assert "points: 4 (2 done, 2 start); jobs to run: 2 train" in second
    again = project.jobs("classes")
    assert {run for run in jobs if jobs[run] != again[run]} == {run for run in jobs if "-s13-" in run.name}


def test_a_cancelled_point_loses_nothing_and_is_retried(project):
    project.sweep("train", "cancelled", "train.seed=5,99", "sweep.wait=false")
    jobs = {run: entry["job"] for run, entry in project.jobs("cancelled").items()}
    (endless,) = (run for run in jobs if "-s99-" in run.name)
    (short,) = (run for run in jobs if run != endless)
    wait_for(jobs[endless], "RUNNING")
    again = project.sweep("train", "cancelled", "train.seed=5,99", "sweep.wait=false")
    assert "1 running" in again and project.jobs("cancelled")[endless]["job"] == jobs[endless]
    assert f"cancelled 1 jobs: {jobs[endless]}" in project.pirig("runs", "cancel", str(endless))
    wait_for(jobs[endless], "CANCELLED")
    wait_for(jobs[short], "COMPLETED")
    assert "1 done, 1 cancelled" in project.pirig("runs", "outputs/cancelled")

    retried = project.pirig("runs", "retry", "outputs/cancelled", "train.time_min=20")
    assert "points: 1 (1 start" in retried and "submitted 1 jobs" in retried
    job = project.jobs("cancelled")[endless]["job"]
    wait_for(job, "RUNNING")
    asked = subprocess.run(["scontrol", "show", "job", job], capture_output=True, text=True, check=True).stdout
    assert "TimeLimit=00:20:00" in asked
    project.pirig("runs", "cancel", "outputs/cancelled")
    assert project.jobs("cancelled")[short]["job"] == jobs[short]


def test_stages_wait_for_each_other_and_a_data_set_is_made_once(project):
    project.sweep("pipeline", "chain", "train.seed=1,2", "task=push_cube,pull_cube", status=1)
    asked = {path.parent.name.split("-")[0]: path.read_text().splitlines()
             for path in (project.root / "data").glob("*/asked.txt")}  # fmt: skip
    assert {task: len(lines) for task, lines in asked.items()} == {"push_cube": 1, "pull_cube": 1}
    demos_s, *gpus = asked["push_cube"][0].split(" ")
    assert gpus == [""]
    for run in project.runs("chain").values():
        record = json.loads((run / "jobs.json").read_text())["stages"]
        states = {stage: state(entries[-1]["job"]) for stage, entries in record.items()}
        if run.name.startswith("pull_cube"):  # its data set failed: no GPU was taken
            assert states == {"train": "CANCELLED", "report": "CANCELLED"} and not (run / "made.json").exists()
            continue
        assert states == {"train": "COMPLETED", "report": "COMPLETED"}
        measured_s = json.loads((run / "measured.json").read_text())["time"]
        assert float(demos_s) < made(run)["time"] < measured_s and made(run)["data"]
        assert json.loads((run / "summary.json").read_text())["train"]["steps"] == 1000
    again = project.sweep("pipeline", "chain", "train.seed=1,2", "task=push_cube", "sweep.wait=false")
    assert "points: 2 (2 done); jobs to run: none" in again


def test_an_edit_after_submission_does_not_reach_the_job(project):
    source = project.folder / "src/pirig/stages/train.py"
    before = source.read_text()
    # the job starts Python only after the edit
    project.sweep("train", "edited", "train.seed=1", "sweep.wait=false", "hydra.launcher.setup=['sleep 4']")
    source.write_text(before.replace('"as submitted"', '"edited afterwards"'))
    try:
        ((run, entry),) = project.jobs("edited").items()
        assert not (run / "made.json").exists()
        wait_for(entry["job"], "COMPLETED")
        assert made(run)["mark"] == "as submitted"
        code = json.loads((run / "environment.json").read_text())["code"]
        assert code["commit"] == project.git("rev-parse", "HEAD").strip() and code["snapshot"] in made(run)["code"]
        assert "edited afterwards" in source.read_text()
        project.sweep("train", "edited", "train.seed=2")
        (second,) = (run for run in project.runs("edited").values() if "-s2-" in run.name)
        assert made(second)["mark"] == "edited afterwards"
        code = json.loads((second / "environment.json").read_text())["code"]
        assert "edited afterwards" in (Path(code["snapshot"]) / "changes.diff").read_text()
    finally:
        source.write_text(before)


def test_a_refused_submission_says_what_to_change(project):
    screen = project.sweep("train", "refused", "train.seed=1", "hydra.launcher.partition=nowhere", status=1)
    assert "sbatch refused 1 train jobs (gpu1)" in screen and "invalid partition" in screen.lower()
    assert "Traceback" not in screen and not (project.root / "refused").exists()
