"""Closed loop in the real simulator: the number of workers changes nothing, a dead worker is named, videos play."""

import os
import signal

import numpy as np
import pytest

from pirig.evaluation.drivers import DemoDriver, PolicyDriver
from pirig.evaluation.results import ResultsFile
from pirig.evaluation.rollouts import roll_out
from pirig.evaluation.videos import film
from pirig.evaluation.workers import WorkerPool
from pirig.policies.policy import Policy

SEEDS = [100, 101, 102]


@pytest.fixture(scope="module")
def pool(contract):
    with WorkerPool(contract, 2) as pool:
        yield pool


def measure(pool, policy, folder):
    driver = PolicyDriver(policy, execute=4, noise_seed=0)
    results = ResultsFile(folder)
    roll_out(pool, driver, SEEDS, max_steps=12, results=results, label="test")
    return [results.actions(seed) for seed in SEEDS], results


def test_workers_do_not_change_the_result(contract, pipeline, params, pool, tmp_path):
    policy = Policy(params, pipeline, flow_steps=2, batch_size=2)
    two, results = measure(pool, policy, tmp_path / "two")
    with WorkerPool(contract, 1) as single:
        one, _ = measure(single, policy, tmp_path / "one")
    assert [len(actions) for actions in two] == [12, 12, 12]
    for left, right in zip(one, two, strict=True):
        np.testing.assert_array_equal(left, right)
    assert not np.array_equal(two[0], two[1])
    before = results.path.read_text()
    measure(pool, policy, tmp_path / "two")  # everything is there: nothing runs again
    assert results.path.read_text() == before


def test_videos_and_sheet(contract, pool, tmp_path):
    import av

    results = ResultsFile(tmp_path)
    actions = {seed: np.zeros((9, contract.action_dim), np.float32) for seed in SEEDS}
    roll_out(pool, DemoDriver(actions), SEEDS, max_steps=9, results=results, label="test")
    paths = film(pool, results, SEEDS, tmp_path / "videos", count=2, every=2, fps=20)
    assert [path.name for path in paths] == ["failure-seed100.mp4", "failure-seed101.mp4"]
    with av.open(str(paths[0])) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) == 6 and frames[0].shape == (256, 256, 3) and frames[0].std() > 10
    assert (tmp_path / "videos" / "sheet.png").stat().st_size > 1000


def test_a_dead_worker_is_named(contract, tmp_path):
    with WorkerPool(contract, 1) as pool:
        pool.start(0, 100, look=False)
        pool.next_ready([0])
        os.kill(pool.processes[0].process.pid, signal.SIGKILL)
        actions = {100: np.zeros((3, contract.action_dim), np.float32)}
        with pytest.raises(RuntimeError, match="simulator-0 died with exit code -9"):
            roll_out(pool, DemoDriver(actions), [100], max_steps=3, results=ResultsFile(tmp_path), label="test")


def test_nan_actions_are_the_workers_error(contract, tmp_path):
    with WorkerPool(contract, 1) as pool:
        actions = {100: np.full((3, contract.action_dim), np.nan, np.float32)}
        with pytest.raises(RuntimeError, match="expected 7 finite numbers"):
            roll_out(pool, DemoDriver(actions), [100], max_steps=3, results=ResultsFile(tmp_path), label="test")
