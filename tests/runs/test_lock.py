"""Two processes never write one folder; the lock of a dead one is taken over."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace

import pytest

from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.runs import lock
from pirig.runs.lock import held_in_turn
from pirig.runs.record import open_run

HOLD = """
import sys, time
from pathlib import Path
from pirig.runs.lock import held
with held(Path(sys.argv[1]), heartbeat_s=0.1):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def written(folder, **changes):
    owner = replace(lock.this_process({}), **changes)
    (folder / lock.FILE_NAME).write_text(json.dumps(asdict(owner)))
    return owner


def test_a_second_process_is_refused_and_told_of_the_first(tmp_path, other):
    with pytest.raises(lock.RunLocked, match=rf"process {other.pid} on .*kill {other.pid}"), lock.held(tmp_path):
        pass
    assert lock.owner_of(tmp_path).pid == other.pid


def test_a_killed_owner_is_replaced_at_once(tmp_path, other):
    other.kill()
    other.wait()
    assert lock.owner_of(tmp_path) is None
    with lock.held(tmp_path):
        assert lock.owner_of(tmp_path).pid == os.getpid()
    assert not (tmp_path / lock.FILE_NAME).exists()


def test_a_silent_owner_on_another_node_is_replaced_after_a_while(tmp_path):
    written(tmp_path, host="elsewhere", job="12_3")
    with pytest.raises(lock.RunLocked, match="scancel 12_3"), lock.held(tmp_path):
        pass
    long_ago_s = time.time() - lock.STALE_S - 5
    os.utime(tmp_path / lock.FILE_NAME, (long_ago_s, long_ago_s))
    with lock.held(tmp_path):
        pass


def test_a_requeued_job_takes_over_from_itself_on_another_node(tmp_path, monkeypatch):
    written(tmp_path, host="elsewhere", pid=4, job="12_3")
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "12")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    with lock.held(tmp_path):
        assert lock.owner_of(tmp_path).job == "12_3"


def test_the_heartbeat_keeps_the_lock_fresh(tmp_path):
    with lock.held(tmp_path, heartbeat_s=0.05):
        os.utime(tmp_path / lock.FILE_NAME, (1, 1))
        end = time.monotonic() + 10
        while (tmp_path / lock.FILE_NAME).stat().st_mtime < 10:
            assert time.monotonic() < end
            time.sleep(0.02)


def test_an_owner_that_lost_its_lock_stops(tmp_path, other):
    written(tmp_path, host="elsewhere")
    assert other.wait(timeout=20) == 1
    assert "taken over" in other.stdout.read()


def test_a_block_inside_a_block_is_the_same_owner(tmp_path):
    with lock.held(tmp_path):
        with lock.held(tmp_path):
            pass
        assert (tmp_path / lock.FILE_NAME).exists()


def test_an_older_run_is_not_moved_aside_under_its_writer(tmp_path, other):
    config = compose(
        [f"run.root={tmp_path.parent}", "run.experiment=.", f"run.name={tmp_path.name}", "run.mode=overwrite"]
    )
    with pytest.raises(lock.RunLocked):
        open_run(config, places_of(config))
    assert tmp_path.exists()


def test_who_waits_for_a_lock_gets_it_when_it_is_free(tmp_path):
    """Another process holds it for a moment; the block here begins after that one's has ended."""
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom pirig.runs.lock import held\n"
        "with held(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(0.5)\n"
        "    (Path(sys.argv[1]) / 'made').touch()\n"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "held\n"
    with held_in_turn(tmp_path, every_s=0.05):
        assert (tmp_path / "made").is_file()
    assert other.wait() == 0
    with held_in_turn(tmp_path):
        pass
