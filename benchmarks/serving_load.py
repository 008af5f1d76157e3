"""What many clients at once get of `pirig serve`, beside one client that waits for each answer before it asks again.

    python -m benchmarks.serving_load RUN [--clients 32] [--rounds 6] [--seconds 8] [--flow-steps 10] [--device NAME]

One server is asked in turn, one client and all of them, and the ratio is taken pair by pair, since other work on the machine
weighs on both. Clients are threads of one process on the same cores. Writes benchmarks/results/serving_load-<device>-<date>.json.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.serving import loaded, server


def _pair(process: Any, uri: str, clients: int, seconds: float) -> dict[str, dict[str, float]]:
    return {name: _asked(process, uri, count, seconds) for name, count in (("one", 1), ("together", clients))}


def _asked(process: Any, uri: str, clients: int, seconds: float) -> dict[str, float]:
    before_s = time.process_time()
    measured = loaded(process, uri, clients, seconds)
    return measured | {"client_cpu_ms_a_request": 1e3 * (time.process_time() - before_s) / measured["requests"]}


def summary(pairs: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Medians over the pairs; `at_most_a_s`: of this machine's cores, at the CPU that a request of many costs."""
    ratios = [pair["together"]["requests_per_s"] / pair["one"]["requests_per_s"] for pair in pairs]

    def middle(name: str, what: str) -> float:
        return float(np.median([pair[name][what] for pair in pairs]))

    cpu_ms = middle("together", "server_cpu_ms_a_request") + middle("together", "client_cpu_ms_a_request")
    return {
        "times_one_client": {"median": float(np.median(ratios)), "least": min(ratios), "most": max(ratios)},
        "requests_per_s": {name: middle(name, "requests_per_s") for name in ("one", "together")},
        "server_cpu_ms_a_request": {name: middle(name, "server_cpu_ms_a_request") for name in ("one", "together")},
        "client_cpu_ms_a_request": middle("together", "client_cpu_ms_a_request"),
        "errors": sum(part["errors"] for pair in pairs for part in pair.values()),
        "at_most_a_s": 1e3 * (os.cpu_count() or 1) / cpu_ms,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--flow-steps", type=int, default=10)
    parser.add_argument("--device", default=report.MACHINE)
    options = parser.parse_args()
    found: dict[str, Any] = {"what": "a policy server, many clients beside one", "run": options.run.name}
    found |= {"clients": options.clients, "seconds": options.seconds, "flow_steps": options.flow_steps}
    pairs = []
    settings = (f"eval.flow_steps={options.flow_steps}", f"serve.max_batch={options.clients}")
    with server(options.run, *settings) as (process, uri):
        for _ in range(options.rounds):
            pairs.append(_pair(process, uri, options.clients, options.seconds))
            report.show({name: part["requests_per_s"] for name, part in pairs[-1].items()})
    found |= summary(pairs) | {"pairs": pairs}
    report.write("serving_load", options.device, found, ("jax", "websockets", "msgpack"))


if __name__ == "__main__":
    main()
