"""Requests that wait: in one call where the model takes rows, in calls side by side where it does not."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from pirig.policies.layouts import Shown, blank
from pirig.serving.batches import Batches, predictor

NOISE = np.zeros((2, 3), np.float32)
NOTHING = Shown({}, np.zeros(1, np.float32))


def test_calls_of_one_row_go_side_by_side_and_each_gets_its_own_answer():
    together = threading.Barrier(3)  # nobody passes before three calls are inside

    def predict(batch, noise):
        together.wait(30)
        return noise + 1

    with Batches(predict, max_batch=1, max_wait_s=0.0, calls=3) as batches:
        answers = [batches.submit(NOTHING, NOISE + number) for number in range(6)]
        for number, answer in enumerate(answers):
            np.testing.assert_array_equal(answer.result(30).actions, NOISE + number + 1)
            assert answer.result().batch == 1


def test_leaving_serves_what_waits_and_ends_every_thread():
    entered, gate = threading.Semaphore(0), threading.Event()

    def predict(batch, noise):
        entered.release()
        assert gate.wait(30)
        return noise

    batches = Batches(predict, max_batch=1, max_wait_s=0.0, calls=2)
    with batches:
        answers = [batches.submit(NOTHING, NOISE) for _ in range(7)]
        assert entered.acquire(timeout=30) and entered.acquire(timeout=30)
        threading.Timer(0.05, gate.set).start()
    assert all(answer.done() for answer in answers)
    assert not any(thread.is_alive() for thread in batches._threads)


def test_rows_share_a_call_where_there_is_one():
    gate, sizes = threading.Event(), []

    def predict(batch, noise):
        assert gate.wait(30)
        sizes.append(len(batch))
        return noise

    with Batches(predict, max_batch=4, max_wait_s=0.0) as batches:
        answers = [batches.submit(NOTHING, NOISE) for _ in range(9)]
        gate.set()
        assert all(answer.result(30).actions.shape == NOISE.shape for answer in answers)
    assert sum(sizes) == 9 and max(sizes) == 4


@pytest.mark.parametrize("calls", [1, 4])
def test_a_policy_gives_the_same_bits_however_many_calls_run(policy, calls):
    random, look = np.random.default_rng(0), blank(policy.pipeline.contract)
    noises = [random.standard_normal(policy.noise_shape).astype(np.float32) for _ in range(12)]
    alone = [predictor(policy)([look], noise[None])[0] for noise in noises]
    with Batches(predictor(policy), max_batch=policy.rows_a_call, max_wait_s=0.0, calls=calls) as batches:
        answers = [batches.submit(look, noise) for noise in noises]
        for answer, expected in zip(answers, alone, strict=True):
            np.testing.assert_array_equal(answer.result(60).actions, expected)
