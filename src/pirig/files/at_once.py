"""Work on many things at once whose results are taken in order, without holding all of them in memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")
IN_FLIGHT_BYTES = 256e6  # of what is worked on at a time


def processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class AtOnce:
    """``with AtOnce() as at_once: futures = [at_once.submit(size, work, item) for ...]``: a thread for each processor.

    `submit` waits while more than `bytes_at_once` are worked on (one thing is always taken), and raises what earlier work
    raised. After an error what has not begun is dropped.
    """

    def __init__(self, name: str, bytes_at_once: float = IN_FLIGHT_BYTES) -> None:
        self._pool = ThreadPoolExecutor(processors(), thread_name_prefix=name)
        self._left = bytes_at_once
        self._running: deque[tuple[float, Future[Any]]] = deque()

    def __enter__(self) -> AtOnce:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=any(error))

    def submit(self, size: float, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """`size`: bytes that are held until the work is done."""
        while self._running and (self._running[0][1].done() or self._left < size):
            held, future = self._running.popleft()
            self._left += held
            future.result()
        future = self._pool.submit(work, *arguments)
        self._running.append((size, future))
        self._left -= size
        return future


def in_order(
    name: str, works: Iterable[tuple[float, Callable[[], Result]]], bytes_at_once: float = IN_FLIGHT_BYTES
) -> Generator[Result]:
    """What each of (bytes, work) returns, one after the other, while a thread for each processor works ahead of whoever takes
    them: on no more than `bytes_at_once`, counting what is done and not taken yet (one is always worked on).

    Raises what a work raises, in its turn; closed early, it waits for those that have begun and drops the others.
    """
    held: deque[tuple[float, Future[Result]]] = deque()
    pool = ThreadPoolExecutor(processors(), thread_name_prefix=name)
    try:
        for size, work in works:
            while held and sum(one for one, _ in held) + size > bytes_at_once:
                yield held.popleft()[1].result()
            held.append((size, pool.submit(work)))
            while len(held) > 2 * processors():
                yield held.popleft()[1].result()
        while held:
            yield held.popleft()[1].result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
