"""`pirig serve` under load: many clients beside one at a time, rubbish, and memory over many requests.

    python -m benchmarks.serving RUN [--clients 32] [--seconds 60] [--fuzz 10000] [--requests 100000] [--device NAME]

The server runs in a process of its own. "One request a call" is the same server with serve.max_batch=1: what a server does
that answers each client in turn, as openpi's does. Writes benchmarks/results/serving-<device>-<date>.json.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from websockets.sync.client import connect

from benchmarks import report
from pirig.contract import Contract
from pirig.policies.layouts import named, random_look
from pirig.policies.remote import Connection
from pirig.policies.wire import pack

KINDS = 12  # of rubbish, see `malformed`


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


def loaded(uri: str, clients: int, seconds: float) -> dict[str, float]:
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
    run_together(threads, connections)
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
        "errors": len(errors),
    }


def malformed(kind: int, good: dict[str, Any], random: np.random.Generator) -> bytes:
    """A message that is none, of one of `KINDS` kinds."""
    message = pack(good)
    array = {b"__ndarray__": True, b"data": b"\0" * 8, b"dtype": "<f4", b"shape": [2]}
    made: list[Any] = [
        lambda: random.bytes(int(random.integers(0, 4000))),
        lambda: message[: int(random.integers(0, len(message)))],
        lambda: _flipped(message, random),
        lambda: pack(good | {"state": np.zeros(int(random.integers(0, 99)), np.complex64).view(np.float32)}),
        lambda: _raw(good | {"state": array | {b"shape": [int(random.integers(1, 1 << 40))] * 3}}),
        lambda: _raw(good | {"state": array | {b"dtype": "|O"}}),
        lambda: pack({key: value for key, value in good.items() if key != "state"}),
        lambda: pack(good | {"images": {"base_0_rgb": np.zeros((4, 4), np.float64)}}),
        lambda: b"\x91" * int(random.integers(1, 50_000)) + b"\xc0",
        lambda: b"\xdf\xff\xff\xff\xff" + random.bytes(100),
        lambda: pack(good | {"state": np.full_like(good["state"], np.nan)}),
        lambda: pack({"prompt": "x" * int(random.integers(1, 100_000))}),
    ]
    return made[kind]()


def _flipped(message: bytes, random: np.random.Generator) -> bytes:
    """Its first bytes (the names and shapes, not the pixels) with a few changed."""
    changed = bytearray(message)
    for at in random.integers(0, 200, 5):
        changed[at] = int(random.integers(0, 256))
    return bytes(changed)


def _raw(value: Any) -> bytes:
    import msgpack

    return msgpack.packb(value, default=lambda array: array.tolist())


def fuzz(uri: str, count: int) -> dict[str, int]:
    """So many bad messages; every 100 a good client must be answered. A connection that is closed is opened anew."""
    good = Connection(uri).open()
    contract = Contract.from_json(good.metadata["contract"])
    random = np.random.default_rng(0)
    request = named("ours").write(random_look(contract, random), contract)
    bad, refused, taken, closed = connect(uri, compression=None), 0, 0, 0
    bad.recv()
    for number in range(count):
        try:
            bad.send(malformed(number % KINDS, request, random))
            answer = bad.recv(timeout=60)
            refused, taken = refused + isinstance(answer, str), taken + isinstance(answer, bytes)
        except Exception:
            closed += 1
            bad = connect(uri, compression=None)
            bad.recv()
        if number % 100 == 0:
            assert "actions" in good.ask(request)
    assert "actions" in good.ask(request)
    good.close()
    bad.close()
    return {"messages": count, "refused_in_words": refused, "still_a_good_request": taken, "closed": closed}


def _asks(connection: Connection, request: dict[str, Any], count: int) -> None:
    for _ in range(count):
        connection.ask(request)


def steady(process: subprocess.Popen[str], uri: str, count: int) -> dict[str, Any]:
    """Resident memory after each tenth of so many requests by eight clients."""
    parts = []
    for _ in range(10):
        connections, contract = connected(uri, 8)
        request = named("ours").write(random_look(contract, np.random.default_rng(0)), contract)
        ask = [threading.Thread(target=_asks, args=(each, request, count // 80)) for each in connections]
        run_together(ask, connections)
        parts.append(round(memory_mb(process), 1))
    return {"requests": count, "resident_mb": parts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--fuzz", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--device", default=report.MACHINE)
    options = parser.parse_args()
    found: dict[str, Any] = {"what": "a policy server, many clients at once", "run": options.run.name}
    with server(options.run, "serve.max_batch=1") as (_, uri):
        found["one_client"] = loaded(uri, 1, options.seconds / 2)
        report.show(found["one_client"])
        found["one_request_a_call"] = loaded(uri, options.clients, options.seconds / 2)
        report.show(found["one_request_a_call"])
    with server(options.run, f"serve.max_batch={options.clients}") as (process, uri):
        found["batched"] = loaded(uri, options.clients, options.seconds)
        report.show(found["batched"])
        found["fuzz"] = fuzz(uri, options.fuzz) if options.fuzz else None
        report.show(found["fuzz"] or {})
        found["memory"] = steady(process, uri, options.requests) if options.requests else None
        report.show(found["memory"] or {})
    rates = {name: found[name]["requests_per_s"] for name in ("one_client", "one_request_a_call", "batched")}
    found["times_one_client"] = rates["batched"] / rates["one_client"]
    found["times_one_request_a_call"] = rates["batched"] / rates["one_request_a_call"]
    report.write("serving", options.device, found, ("jax", "websockets", "msgpack"))


if __name__ == "__main__":
    main()
