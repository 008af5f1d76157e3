"""Nobody is robbed of a lock, a refused start moves nothing, and whatever ends a stage leaves the state that is true."""

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pirig.comparison.collect import collect
from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.files.atomic import clear_leftovers
from pirig.runs import lock
from pirig.runs.progress import read_status
from pirig.runs.record import open_run, recorded, set_status
from pirig.runs.stopping import Terminated

HOLD = """
import sys, time
from pathlib import Path
from pirig.runs.lock import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""
WAIT_S = 60


def started(code, *arguments, **environment):
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, **options, env={**os.environ, **environment})


@pytest.fixture
def holder(tmp_path):
    """Another living process that holds tmp_path/run, in SLURM's job 77."""
    process = started(HOLD, tmp_path / "run", SLURM_JOB_ID="77")
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("restarts", ["", "0", "1"])
def test_a_second_command_of_one_allocation_is_refused_unless_the_job_was_requeued(
    tmp_path, holder, monkeypatch, restarts
):
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    monkeypatch.setenv("SLURM_RESTART_COUNT", restarts)
    if restarts == "1":
        with lock.held(tmp_path / "run"):
            return
    with pytest.raises(lock.RunLocked, match="job 77 process"), lock.held(tmp_path / "run"):
        pass
    assert holder.poll() is None


def test_another_node_of_the_same_allocation_is_refused_while_the_first_lives(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    owner = replace(lock.this_process({"SLURM_JOB_ID": "77"}), host="node-1")
    (tmp_path / lock.FILE_NAME).write_text(json.dumps(asdict(owner)))
    with pytest.raises(lock.RunLocked, match="node-1"), lock.held(tmp_path):
        pass


def test_a_process_that_is_suspended_keeps_its_lock(tmp_path, holder):
    holder.send_signal(signal.SIGSTOP)
    os.utime(tmp_path / "run" / lock.FILE_NAME, (1, 1))  # no heartbeat for years
    with pytest.raises(lock.RunLocked), lock.held(tmp_path / "run"):
        pass


@pytest.mark.parametrize("gone", ["its number is another process's now", "it was killed"])
def test_a_dead_owner_is_replaced_at_once(tmp_path, holder, gone):
    path = tmp_path / "run" / lock.FILE_NAME
    if gone == "it was killed":
        holder.kill()
        holder.wait()
    else:
        path.write_text(json.dumps(json.loads(path.read_text()) | {"born": "1"}))
    with lock.held(tmp_path / "run"):
        assert lock.owner_of(tmp_path / "run").pid == os.getpid()


def test_a_lock_of_an_older_version_and_of_a_newer_one_are_read(tmp_path):
    owner = asdict(replace(lock.this_process({}), host="elsewhere"))
    for change in ({key: owner[key] for key in ("host", "pid", "job", "since", "token")}, owner | {"later": 1}):
        (tmp_path / lock.FILE_NAME).write_text(json.dumps(change))
        with pytest.raises(lock.RunLocked), lock.held(tmp_path):
            pass


@pytest.fixture(scope="module")
def base():
    return compose(["experiment=smoke", "run.experiment=t", "run.name=run"])


def at(base, root, mode="error", **train):
    run = replace(base.run, root=str(root.parent), experiment=root.name, mode=mode)
    return replace(base, run=run, train=replace(base.train, **train))


def content(folder):
    return {
        path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".lock")
    }


@pytest.mark.parametrize("mode", ["error", "resume", "overwrite"])
def test_a_refused_start_has_moved_and_written_nothing(tmp_path, base, mode):
    first = at(base, tmp_path, seed=0)
    open_run(first, places_of(first))
    process = started(HOLD, tmp_path / "run")
    assert process.stdout.readline() == "held\n"
    before = content(tmp_path)
    second = at(base, tmp_path, mode, seed=5)
    with pytest.raises(lock.RunLocked):
        open_run(second, places_of(second))
    assert content(tmp_path) == before and [path.name for path in tmp_path.iterdir()] == ["run"]
    process.kill()
    process.wait()


def test_overwrite_moves_the_older_run_aside_and_keeps_the_lock(tmp_path, base):
    first = at(base, tmp_path, seed=0)
    (open_run(first, places_of(first)) / "mine").write_text("x")
    second = at(base, tmp_path, "overwrite", seed=5)
    with lock.held(tmp_path / "run"):
        owner = lock.owner_of(tmp_path / "run")
        open_run(second, places_of(second))
        assert lock.owner_of(tmp_path / "run") == owner
    (aside,) = tmp_path.glob("run.old-*")
    assert (aside / "mine").read_text() == "x" and not (tmp_path / "run" / "mine").exists()


@pytest.mark.parametrize("first", ["is done", "was killed", "was suspended for a while"])
def test_two_commands_share_a_data_set_the_second_waits_and_says_so(tmp_path, holder, capsys, first):
    said = []
    if first == "was suspended for a while":
        holder.send_signal(signal.SIGSTOP)

    def so_far():
        if not said:
            holder.send_signal(signal.SIGKILL if first == "was killed" else signal.SIGCONT)
            holder.stdin.close()  # the first one is done a moment later
        said.append(1)
        return "so far 3 demos"

    with lock.held_in_turn(tmp_path / "run", so_far, every_s=0.05):
        assert lock.owner_of(tmp_path / "run").pid == os.getpid()
    assert f"process {holder.pid}" in capsys.readouterr().err and said


def test_a_stage_that_is_refused_leaves_no_folder(tmp_path):
    with pytest.raises(ValueError, match="no demos"), lock.held(tmp_path / "data" / "push_cube"):
        raise ValueError("no demos there")
    assert not list(tmp_path.iterdir())
    with lock.held(tmp_path / "data" / "push_cube"):
        (tmp_path / "data" / "push_cube" / "made").write_text("x")
    assert (tmp_path / "data" / "push_cube" / "made").is_file()


@pytest.mark.parametrize(("error", "state", "words"), [
    (ValueError("step 3: not a finite number"), "failed", "not a finite number"),
    (OSError(errno.ENOSPC, "No space left on device"), "failed", "No space left"),
    (RuntimeError("simulator-1 died"), "failed", "simulator-1 died"),
    (MemoryError("21 GB"), "failed", "21 GB"),
    (KeyboardInterrupt(), "stopped", "SIGINT"),
    (Terminated("SIGTERM"), "stopped", "SIGTERM"),
])  # fmt: skip
def test_the_status_says_how_a_stage_ended(tmp_path, error, state, words):
    set_status(tmp_path, "train", "running")
    with pytest.raises(type(error)), recorded(tmp_path, "train"):
        raise error
    status = read_status(tmp_path)
    assert status["state"] == state and words in str(status)


def test_a_killed_run_is_not_said_to_be_running(tmp_path, base, holder):
    config = at(base, tmp_path)
    holder.kill()
    holder.wait()
    open_run(config, places_of(config))
    running = (
        "from pirig.runs.record import set_status\n    set_status(Path(sys.argv[1]), 'train', 'running')\n    print"
    )
    process = started(HOLD.replace("print", running), tmp_path / "run")
    assert process.stdout.readline() == "held\n"
    assert collect([tmp_path])[0].state == "train running"
    process.kill()
    process.wait()
    assert collect([tmp_path])[0].state == "train interrupted"


@pytest.mark.parametrize("ended", ["failed", "stopped", "running"])
@pytest.mark.parametrize("mode", ["error", "resume"])
def test_a_run_that_ended_without_a_checkpoint_blocks_nothing(tmp_path, base, ended, mode):
    first = at(base, tmp_path)
    folder = open_run(first, places_of(first))
    set_status(folder, "train", ended)
    (folder / "metrics.jsonl").write_text('{"step": 1}\n')
    corrected = at(base, tmp_path, mode, batch_size=5)
    assert (
        open_run(corrected, places_of(corrected)) == folder and "batch_size: 5" in (folder / "config.yaml").read_text()
    )
    (folder / "checkpoints" / "4").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"run\.mode=overwrite"):
        other = at(base, tmp_path, mode, batch_size=6)
        open_run(other, places_of(other))


def test_what_killed_processes_left_is_cleared_and_what_living_ones_write_is_not(tmp_path, holder):
    dead = started("pass")
    dead.wait()
    gone = [f".episode_3.npz.{dead.pid}.tmp", f".status.json.{dead.pid}.tmp", f".4.staging-{dead.pid}",
            f".lock.clock-{dead.pid}-abc123"]  # fmt: skip
    kept = [f".episode_3.npz.{holder.pid}.tmp", ".lerobot.parts-0123456789abcdef", ".mine.tmp", "episode_3.npz"]
    for name in (*gone, *kept):
        path = tmp_path / name
        path.mkdir() if "staging" in name or "parts" in name else path.write_text("x")
    clear_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, "run"])


SLOW_DEMOS = """
    import sys, time
    from pathlib import Path
    from pirig import cli
    from pirig.contract import Contract
    from pirig.demos.collect import collect
    from pirig.runs.stopping import stop_on_sigterm

    class Slow:
        name = "slow"
        def open(self):
            Path(sys.argv[1], "opened").write_text("x")
        def episode(self, seed):
            time.sleep(600)

    if __name__ == "__main__":
        stop_on_sigterm()
        folder = Path(sys.argv[1])
        contract = Contract.load(folder)
        sys.exit(cli.guarded(lambda: collect(contract, Slow(), [0, 1, 2], 2, 1, folder / "data" / "demos")))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_demos_in_the_middle_of_an_episode(tmp_path, base, number):
    places_of(base).contract.save(tmp_path)
    (tmp_path / "slow.py").write_text(textwrap.dedent(SLOW_DEMOS))
    command = [sys.executable, tmp_path / "slow.py", tmp_path]
    usual = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731 - a background shell ignores it
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=usual)
    until(lambda: (tmp_path / "opened").is_file())
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(number)
    assert process.wait(timeout=WAIT_S) == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    assert "Traceback" not in process.stderr.read()
    until(lambda: not [child for child in children if Path(f"/proc/{child}").exists()])


def until(come):
    end = time.monotonic() + WAIT_S
    while not come():
        assert time.monotonic() < end
        time.sleep(0.05)


SLEEPER = """
    import json, sys, time
    from pathlib import Path
    from pirig.runs.lock import held
    from pirig.runs.record import recorded
    from pirig.runs.stopping import stop_on_sigterm

    def run_stage(stage, config):
        folder = Path(config["run"]["root"])
        with held(folder), recorded(folder, stage):
            (folder / "began").write_text("x")
            time.sleep(600)

    if __name__ == "__main__":
        stop_on_sigterm()
        asked = json.loads(Path(sys.argv[1]).read_text())
        run_stage(asked["stage"], asked["config"])
"""
SWEEP = """
    import sys
    from pathlib import Path
    from pirig import cli
    from pirig.config.load import compose
    from pirig.runs.stopping import stop_on_sigterm
    from pirig.sweeps import local
    from pirig.sweeps.plan import Plan, Task
    from sleeper import run_stage

    stop_on_sigterm()
    folder = Path(sys.argv[1])
    task = Task("train", folder, compose([f"run.root={folder}"]), "train", ())
    sys.exit(cli.guarded(lambda: local.run(Plan([], tasks={"one": task}), 1, {}, folder, run_stage)))
"""


def test_a_local_sweep_that_is_terminated_stops_its_children(tmp_path):
    (tmp_path / "sleeper.py").write_text(textwrap.dedent(SLEEPER))
    (tmp_path / "run").mkdir()
    sweep = started(SWEEP, tmp_path / "run", PYTHONPATH=str(tmp_path))
    until(lambda: (tmp_path / "run" / "began").is_file())
    (child,) = Path(f"/proc/{sweep.pid}/task/{sweep.pid}/children").read_text().split()
    sweep.terminate()
    assert sweep.wait(timeout=WAIT_S) == 143
    assert not Path(f"/proc/{child}").exists()
    status = read_status(tmp_path / "run")
    assert (status["state"], status["by"]) == ("stopped", "SIGTERM") and lock.owner_of(tmp_path / "run") is None
