"""SIGTERM, SIGUSR1, SIGUSR2 (of submitit) and ctrl-C as a wish that the loop reads between two steps."""

from __future__ import annotations

import signal
import threading

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)


class StopWish:
    """``with StopWish() as wish: ... if wish.name: save and leave``. A second signal acts as it did before."""

    def __init__(self) -> None:
        self.name = ""
        self._previous: dict[int, object] = {}

    def __enter__(self) -> StopWish:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._take) for number in SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        self._give_back()

    def _take(self, number: int, frame: object) -> None:
        self.name = signal.Signals(number).name
        self._give_back()

    def _give_back(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._previous = {}
