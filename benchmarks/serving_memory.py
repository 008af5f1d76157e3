"""Whether `pirig serve` keeps its memory: what is resident after so many requests, each of which the model answers.

    python -m benchmarks.serving_memory RUN [--requests 100000] [--clients 8] [--flow-steps 1] [--device NAME]

The server runs in a process of its own; its clients connect anew at each mark. Writes
benchmarks/results/serving_memory-<device>-<date>.json.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from subprocess import Popen
from typing import Any

from benchmarks import report, serving_abuse
from benchmarks.serving import memory_mb, options_of, run_together, server

MARKS = (0.01, 0.1, 0.25, 0.5, 0.75, 1.0)  # of all requests


def marks(process: Popen[str], uri: str, count: int, clients: int) -> Iterator[dict[str, Any]]:
    """Requests so far, the seconds and what is resident then."""
    asked, started_s = 0, time.monotonic()
    yield {"requests": 0, "seconds": 0.0, "resident_mb": round(memory_mb(process), 1)}
    for mark in MARKS:
        each = round(count * mark - asked) // clients
        run_together([threading.Thread(target=_asks, args=(uri, each)) for _ in range(clients)], [])
        asked += each * clients
        spent_s = round(time.monotonic() - started_s, 1)
        yield {"requests": asked, "seconds": spent_s, "resident_mb": round(memory_mb(process), 1)}


def _asks(uri: str, count: int) -> None:
    good, request = serving_abuse.asking(uri)
    for _ in range(count):
        assert "actions" in good.ask(request)
    good.close()


def main() -> None:
    options = options_of(__doc__, clients=8, flow_steps=1, requests=100_000)
    found: dict[str, Any] = {"what": "memory of a policy server over many requests", "run": options.run.name}
    found |= {"flow_steps": options.flow_steps, "clients": options.clients, "marks": []}
    with server(options.run, f"eval.flow_steps={options.flow_steps}") as (process, uri):
        for mark in marks(process, uri, options.requests, options.clients):
            found["marks"].append(mark)
            report.show(mark)
            report.write("serving_memory", options.device, found, ("jax", "websockets", "msgpack"))


if __name__ == "__main__":
    main()
