"""`pirig serve` under load: a minute of many clients, and what it must outlive. See `serving_load` and `serving_memory` too.

    python -m benchmarks.serving RUN [--clients 32] [--seconds 60] [--fuzz 10000] [--flow-steps 10]
        [--device NAME]

The server runs in a process of its own. "One request a call" is the same server with serve.max_batch=1: what a server does
that answers each client in turn, as openpi's does. Writes benchmarks/results/serving-<device>-<date>.json.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report, serving_abuse
from pirig.contract import Contract
from pirig.policies.layouts import named, random_look
from pirig.policies.remote import Connection


@contextlib.contextmanager
def server(run: Path, *settings: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`pirig serve` on a free port of loopback, ready."""
    command = [sys.executable, "-m", "pirig", "serve", str(run), "serve.port=0", *settings]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    uri = ""
    for line in process.stdout:
        uri = uri or (match[0] if (match := re.search(r"ws://\S+", line)) else "")
        if line.startswith("ready"):
            break
    try:
        yield process, uri
    finally:
        process.terminate()
        process.wait(60)


def memory_mb(process: subprocess.Popen[str]) -> float:
    """Resident, of the server alone."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


def cpu_s(process: subprocess.Popen[str]) -> float:
    """Of all its threads so far: what other work on the machine changes little."""
    spent = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(spent[11]) + int(spent[12])) / os.sysconf("SC_CLK_TCK")


def connected(uri: str, clients: int) -> tuple[list[Connection], Contract]:
    connections = [Connection(uri).open() for _ in range(clients)]
    return connections, Contract.from_json(connections[0].metadata["contract"])


def run_together(threads: list[threading.Thread], connections: list[Connection]) -> None:
    """To their end; the connections are closed then."""
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for connection in connections:
        connection.close()


def loaded(process: subprocess.Popen[str], uri: str, clients: int, seconds: float) -> dict[str, float]:
    """So many clients, each asking again as soon as it is answered."""
    connections, contract = connected(uri, clients)
    spent_ms: list[list[float]] = [[] for _ in connections]
    errors: list[str] = []
    ends_s = time.monotonic() + seconds

    def client(number: int) -> None:
        request = named("ours").write(random_look(contract, np.random.default_rng(number)), contract)
        try:
            while time.monotonic() < ends_s:
                started_s = time.perf_counter()
                connections[number].ask(request)
                spent_ms[number].append(1e3 * (time.perf_counter() - started_s))
        except Exception as error:
            errors.append(repr(error))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    before_s = cpu_s(process)
    run_together(threads, connections)
    spent_s = cpu_s(process) - before_s
    all_ms = np.concatenate([np.array(part) for part in spent_ms])
    p50, p95, p99 = np.percentile(all_ms, (50, 95, 99))
    return {
        "clients": clients,
        "seconds": seconds,
        "requests": len(all_ms),
        "requests_per_s": len(all_ms) / seconds,
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "server_cpu_ms_a_request": 1e3 * spent_s / len(all_ms),
        "errors": len(errors),
    }


def options_of(about: str | None, *, clients: int, flow_steps: int, **others: float) -> argparse.Namespace:
    """Of a benchmark of the server: RUN, and what `others` names beside what all of them have; numbers are the defaults."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    for name, usual in {"clients": clients, "flow_steps": flow_steps, **others}.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(usual), default=usual)
    parser.add_argument("--device", default=report.MACHINE)
    return parser.parse_args()


def main() -> None:
    options = options_of(__doc__, clients=32, flow_steps=10, seconds=60.0, fuzz=10_000)

    def started(*settings: str) -> contextlib.AbstractContextManager[tuple[subprocess.Popen[str], str]]:
        return server(options.run, f"eval.flow_steps={options.flow_steps}", *settings)

    found: dict[str, Any] = {"what": "a policy server, many clients at once", "run": options.run.name}
    found["flow_steps"] = options.flow_steps

    def keep(name: str, part: dict[str, Any]) -> None:
        found[name] = part
        report.show({"measured": name, **part})
        report.write(
            "serving", options.device, found, ("jax", "websockets", "msgpack")
        )  # what follows may be broken off

    with started("serve.max_batch=1") as (process, uri):
        keep("one_client", loaded(process, uri, 1, options.seconds / 2))
        keep("one_request_a_call", loaded(process, uri, options.clients, options.seconds / 2))
    with started(f"serve.max_batch={options.clients}") as (process, uri):
        keep("batched", loaded(process, uri, options.clients, options.seconds))
        rates = {name: found[name]["requests_per_s"] for name in ("one_client", "one_request_a_call", "batched")}
        found["times_one_client"] = rates["batched"] / rates["one_client"]
        found["times_one_request_a_call"] = rates["batched"] / rates["one_request_a_call"]
        keep("fuzz", serving_abuse.fuzz(uri, options.fuzz))
        keep("killed_clients", serving_abuse.killed_clients(uri))
        keep("stalled_clients", serving_abuse.stalled_clients(uri))
    keep("wrong_keys", serving_abuse.wrong_keys(started))
    keep("restart", serving_abuse.restart(started))
    report.write("serving", options.device, found, ("jax", "websockets", "msgpack"))


if __name__ == "__main__":
    main()
