"""What many clients at once get of `pirig serve`, beside one client that waits for each answer before it asks again.

    python -m benchmarks.serving_load RUN [--clients 32] [--rounds 6] [--seconds 8] [--flow-steps 10] [--device NAME]

Two servers are asked in turn, and ratios are taken round by round, since other work on the machine weighs on all: one client
alone, all clients with serve.max_batch=1 (one request a call, one call at a time), all clients as it is served. Clients are
threads of one process on the same cores. Writes benchmarks/results/serving_load-<device>-<date>.json.
"""

from __future__ import annotations

import contextlib
import os
import time
from subprocess import Popen
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.serving import loaded, options_of, server

Running = tuple[Popen[str], str]
Round = dict[str, dict[str, float]]  # by way: "one", "in_turn", "together"


def asked(running: Running, clients: int, seconds: float) -> dict[str, float]:
    before_s = time.process_time()
    measured = loaded(*running, clients, seconds)
    return measured | {"client_cpu_ms_a_request": 1e3 * (time.process_time() - before_s) / measured["requests"]}


def middle(rounds: list[Round], what: str) -> dict[str, float]:
    """The median over the rounds, by way."""
    return {way: float(np.median([one[way][what] for one in rounds])) for way in rounds[0]}


def times(rounds: list[Round], way: str) -> dict[str, float]:
    """Requests a second of all clients at once beside those of `way`."""
    ratios = [one["together"]["requests_per_s"] / one[way]["requests_per_s"] for one in rounds]
    return {"median": float(np.median(ratios)), "least": min(ratios), "most": max(ratios)}


def summary(rounds: list[Round]) -> dict[str, Any]:
    """`at_most_a_s`: what this machine's cores could give at the CPU that a request of many costs, with its client."""
    server_ms, client_ms = middle(rounds, "server_cpu_ms_a_request"), middle(rounds, "client_cpu_ms_a_request")
    return {
        "times_one_client": times(rounds, "one"),
        "times_in_turn": times(rounds, "in_turn"),
        "requests_per_s": middle(rounds, "requests_per_s"),
        "server_cpu_ms_a_request": server_ms,
        "client_cpu_ms_a_request": client_ms,
        "at_most_a_s": 1e3 * (os.cpu_count() or 1) / (server_ms["together"] + client_ms["together"]),
        "errors": sum(part["errors"] for one in rounds for part in one.values()),
    }


def main() -> None:
    options = options_of(__doc__, clients=32, flow_steps=10, rounds=6, seconds=8.0)
    found: dict[str, Any] = {"what": "a policy server, many clients beside one", "run": options.run.name}
    found |= {"clients": options.clients, "seconds": options.seconds, "flow_steps": options.flow_steps}
    rounds: list[Round] = []
    with contextlib.ExitStack() as both:
        steps = f"eval.flow_steps={options.flow_steps}"
        alone = both.enter_context(server(options.run, steps, "serve.max_batch=1"))
        usual = both.enter_context(server(options.run, steps, f"serve.max_batch={options.clients}"))
        ways = {"one": (alone, 1), "in_turn": (alone, options.clients), "together": (usual, options.clients)}
        for _ in range(options.rounds):
            rounds.append({way: asked(running, count, options.seconds) for way, (running, count) in ways.items()})
            report.show({way: part["requests_per_s"] for way, part in rounds[-1].items()})
    report.write(
        "serving_load", options.device, found | summary(rounds) | {"rounds": rounds}, ("jax", "websockets", "msgpack")
    )


if __name__ == "__main__":
    main()
