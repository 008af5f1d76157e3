"""Bounded work: no more is held than asked for, results come in order, an error is not lost."""

import threading

import pytest

from pirig.files import at_once
from pirig.files.at_once import AtOnce, in_order


@pytest.fixture(autouse=True)
def four_processors(monkeypatch):
    monkeypatch.setattr(at_once, "processors", lambda: 4)


def test_results_are_in_order_and_several_are_worked_on():
    met = threading.Barrier(3, timeout=20)
    with AtOnce("x") as several:
        futures = [several.submit(1, lambda one: (met.wait(), one)[1], number) for number in range(3)]
        assert [future.result() for future in futures] == [0, 1, 2]


def test_no_more_is_held_than_asked_for_but_one_thing_always_is():
    lock, held, most = threading.Lock(), 0, 0

    def work(size):
        nonlocal held, most
        with lock:
            held += size
            most = max(most, held)
        with lock:
            held -= size

    with AtOnce("x", bytes_at_once=10) as several:
        for size in (4, 4, 4, 9, 25, 4) * 5:
            several.submit(size, work, size)
    assert held == 0 and most <= 25
    blocked, order = threading.Event(), []
    with AtOnce("x", bytes_at_once=10) as several:
        several.submit(8, lambda: (blocked.wait(20), order.append("first")))
        threading.Timer(0.2, blocked.set).start()
        several.submit(8, order.append, "second")
    assert order == ["first", "second"]


def test_an_error_comes_out_of_a_later_call():
    with AtOnce("x", bytes_at_once=1) as several:
        several.submit(1, lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            several.submit(1, lambda: None)


def test_results_of_work_ahead_come_in_order_and_wait_for_whoever_takes_them():
    met, begun = threading.Barrier(3, timeout=20), []

    def work(number):
        begun.append(number)
        if number < 3:
            met.wait()
        return number

    taken = in_order("x", ((1, lambda number=number: work(number)) for number in range(20)), bytes_at_once=5)
    assert next(taken) == 0 and max(begun) <= 5
    assert list(taken) == list(range(1, 20))


def test_what_was_begun_ends_before_an_error_or_a_close_is_over():
    blocked, ended = threading.Event(), []

    def late():
        blocked.wait(20)
        ended.append("late")

    failing = in_order("x", [(1, lambda: 1 / 0), (1, late), (1, late)])
    threading.Timer(0.2, blocked.set).start()
    with pytest.raises(ZeroDivisionError):
        next(failing)
    assert ended == ["late", "late"]
    left = in_order("x", ((6, late) for _ in range(9)), bytes_at_once=10)
    next(left)
    left.close()
    assert len(ended) < 6
