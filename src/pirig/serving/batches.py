"""Many clients, one model: whoever waits is served in the next call, and no client's request changes another's answer."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from pirig.policies.layouts import Shown
from pirig.policies.policy import Policy

Predict = Callable[
    [Sequence[Shown], np.ndarray], np.ndarray
]  # what n clients show, noise [n, A, J] -> [n, A, action_dim]


@dataclass(frozen=True)
class Answer:
    """`actions` f32 [A, action_dim]. `infer_ms`: of the call that it was in, `batch` requests together."""

    actions: np.ndarray
    infer_ms: float
    batch: int


@dataclass
class _Waiting:
    shown: Shown
    noise: np.ndarray
    answer: Future[Answer] = field(default_factory=Future)


class Batches:
    """Threads that ask the model. Use as a context; leaving it serves what waits and then ends the threads.

    `max_wait_s`: how long the first of a batch may wait for company. `calls`: of the model, at once.
    """

    def __init__(self, predict: Predict, *, max_batch: int, max_wait_s: float, waiting: int = 1024, calls: int = 1):
        self._predict, self._max_batch, self._max_wait_s = predict, max_batch, max_wait_s
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(waiting)
        self._threads = [threading.Thread(target=self._run, name="model", daemon=True) for _ in range(calls)]

    def __enter__(self) -> Batches:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        for _ in self._threads:
            self._queue.put(None)  # an end for each
        for thread in self._threads:
            thread.join()

    def submit(self, shown: Shown, noise: np.ndarray) -> Future[Answer]:
        """Raises queue.Full where more wait than can be served."""
        request = _Waiting(shown, noise)
        self._queue.put_nowait(request)
        return request.answer

    @property
    def depth(self) -> int:
        """Requests that wait."""
        return self._queue.qsize()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, last = self._company(first)
            self._serve([request for request in batch if request.answer.set_running_or_notify_cancel()])
            if last:
                return

    def _company(self, first: _Waiting) -> tuple[list[_Waiting], bool]:
        """What waits beside the first, at most a batch; and whether the end was asked for."""
        batch, until_s = [first], time.monotonic() + self._max_wait_s
        while len(batch) < self._max_batch:
            try:
                request = self._queue.get(timeout=max(0.0, until_s - time.monotonic()))
            except queue.Empty:
                break
            if request is None:
                return batch, True
            batch.append(request)
        return batch, False

    def _serve(self, batch: list[_Waiting]) -> None:
        if not batch:
            return
        started_s = time.perf_counter()
        try:
            actions = self._predict(
                [request.shown for request in batch], np.stack([request.noise for request in batch])
            )
        except Exception as error:
            for request in batch:
                request.answer.set_exception(error)
            return
        spent_ms = 1e3 * (time.perf_counter() - started_s)
        for request, chunk in zip(batch, actions, strict=True):
            request.answer.set_result(Answer(chunk, spent_ms, len(batch)))


def predictor(policy: Policy) -> Predict:
    """Pictures that come in two sizes (the camera's and the model's) become the model's first, so that they stack."""
    from pirig.transforms.images import resize

    contract = policy.pipeline.contract
    named = {scene.prompt: scene.task for scene in contract.scenes}

    def predict(batch: Sequence[Shown], noise: np.ndarray) -> np.ndarray:
        images = {
            camera.role: np.stack(
                [resize(shown.images[camera.role], contract.image_px, contract.resize) for shown in batch]
            )
            for camera in contract.cameras
        }
        prompts = [shown.prompt or contract.scenes[0].prompt for shown in batch]
        tasks = [named[prompt] for prompt in prompts] if policy.pipeline.stats_of else None
        states, underway = np.stack([shown.state for shown in batch]), [shown.underway for shown in batch]
        return policy.predict(images, states, noise, prompts, tasks, underway=underway)

    return predict
