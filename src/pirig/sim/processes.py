"""A simulator in a process of its own: one that crashes has a reason, and the policy keeps its device."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from pirig.sim.door import implementation_at

Answers = Callable[[Any], Any]  # a message -> its answer


class SimulatorProcess:
    """Answers one message at a time with what `opened(implementation, *arguments)`, called there, returns.

    `place` (`door.place_of`) is where the implementation is, which is prepared first; `opened` and `arguments` are pickled.
    """

    def __init__(self, name: str, place: str, opened: Callable[..., Answers], *arguments: Any):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, place, opened, arguments), name=name, daemon=True)
        self.process.start()
        theirs.close()

    def send(self, message: Any) -> None:
        """Raises RuntimeError saying how the process ended, if it did."""
        try:
            self.pipe.send(message)
        except (BrokenPipeError, OSError) as error:
            raise self._dead() from error

    def receive(self) -> Any:
        """Blocks. Raises RuntimeError with the process's own traceback, or saying how it ended."""
        try:
            answer = self.pipe.recv()
        except (EOFError, ConnectionResetError) as error:
            raise self._dead() from error
        if isinstance(answer, _Failure):
            raise RuntimeError(f"{self.process.name} failed:\n{answer.text}")
        return answer

    def close(self) -> None:
        """Lets it end by itself, then by force."""
        self.pipe.close()
        self.process.join(timeout=10)
        if self.process.is_alive():
            self.process.kill()

    def _dead(self) -> RuntimeError:
        self.process.join(timeout=5)
        return RuntimeError(
            f"the process {self.process.name} died with exit code {self.process.exitcode} (negative: killed by that "
            "signal); finished episodes are saved, run the same command with run.mode=resume to go on"
        )


class _Failure:
    def __init__(self, text: str):
        self.text = text


def _serve(pipe: Connection, place: str, opened: Callable[..., Answers], arguments: tuple) -> None:
    """The process's life, until the pipe closes. What fails is answered with its traceback."""
    try:
        implementation = implementation_at(place)
        implementation.prepare()
        answer = opened(implementation, *arguments)
        while True:
            try:
                message = pipe.recv()
            except (EOFError, ConnectionResetError):
                return
            pipe.send(answer(message))
    except KeyboardInterrupt:
        return
    except Exception:
        pipe.send(_Failure(traceback.format_exc()))
