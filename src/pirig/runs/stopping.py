"""SIGTERM as an exception: whatever runs ends as it does on ctrl-C, and its status says so."""

from __future__ import annotations

import signal
import threading
from typing import NoReturn


class Terminated(KeyboardInterrupt):
    """Somebody, a scheduler mostly, asked this process to stop."""


def stop_on_sigterm() -> None:
    """Only where nobody else has taken the signal."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _stop)


def _stop(number: int, frame: object) -> NoReturn:
    raise Terminated("SIGTERM")
