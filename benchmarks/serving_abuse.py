"""What a policy server must outlive: rubbish, a wrong key, clients that die or stall, its own restart.

Of `python -m benchmarks.serving`; each function raises AssertionError where a good client is not answered.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from subprocess import Popen
from typing import Any

import numpy as np
from websockets.sync.client import connect

from pirig.contract import Contract
from pirig.policies.layouts import named, random_look
from pirig.policies.remote import Connection
from pirig.policies.wire import pack

KINDS = 13  # of rubbish, see `malformed`
Started = Callable[..., AbstractContextManager[tuple[Popen[str], str]]]  # settings of `pirig serve` -> process, address


def asking(uri: str, patience_s: float = 60.0) -> tuple[Connection, dict[str, Any]]:
    """A client that behaves, and its request."""
    good = Connection(uri, os.environ.get("PIRIG_API_KEY", ""), patience_s).open()
    contract = Contract.from_json(good.metadata["contract"])
    return good, named("ours").write(random_look(contract, np.random.default_rng(0)), contract)


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
        lambda: pack(good | {"underway": np.zeros((int(random.integers(0, 99)), 3), np.float32), "delay": -1}),
    ]
    return made[kind]()


def _flipped(message: bytes, random: np.random.Generator) -> bytes:
    """Its first bytes (the names and shapes, not the pixels) with a few changed."""
    changed = bytearray(message)
    for at in random.integers(0, 200, 5):
        changed[at] = int(random.integers(0, 256))
    return bytes(changed)


def _raw(value: Any) -> bytes:
    """As a client that packs arrays otherwise; without its pictures, which would be long lists."""
    import msgpack

    return msgpack.packb(value | {"images": {}}, default=lambda array: array.tolist())


def fuzz(uri: str, count: int) -> dict[str, int]:
    """So many bad messages; every 100 a good client must be answered. A connection that is closed is opened anew."""
    good, request = asking(uri)
    random = np.random.default_rng(0)
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


def wrong_keys(started: Started) -> dict[str, Any]:
    """A server that asks for a key: without one, with wrong ones, with the right one."""
    os.environ["PIRIG_API_KEY"] = "the right one"
    try:
        with started() as (_, uri):
            refused = sum(_is_refused(uri, key) for key in ("", "wrong", "the right on", "the right one!"))
            good, request = asking(uri)
            assert "actions" in good.ask(request)
            good.close()
    finally:
        del os.environ["PIRIG_API_KEY"]
    assert refused == 4, f"{refused} of 4 wrong keys refused"
    return {"refused": refused, "of": 4, "right_key_answered": True}


def _is_refused(uri: str, key: str) -> bool:
    try:
        Connection(uri, key, patience_s=5).open()
    except ValueError:
        return True
    return False


def killed_clients(uri: str, count: int = 100) -> dict[str, Any]:
    """Clients whose connection is cut off in the middle of a request, or right after it."""
    good, request = asking(uri)
    message = pack(request)
    for number in range(count):
        raw = connect(uri, compression=None)
        raw.recv()
        raw.send(message) if number % 2 else raw.socket.sendall(_frame(message)[: len(message) // 2])
        raw.socket.shutdown(socket.SHUT_RDWR)
        raw.socket.close()
    assert "actions" in good.ask(request)
    good.close()
    return {"killed": count, "good_client_answered": True}


def stalled_clients(uri: str, count: int = 20, asks: int = 20) -> dict[str, Any]:
    """So many that send half of a message and no more, and as many that ask and never read; a good client's times meanwhile."""
    good, request = asking(uri)
    message = pack(request)
    alone_ms = _times_ms(good, request, asks)
    stalled = [connect(uri, compression=None, ping_interval=None) for _ in range(2 * count)]
    for half in stalled[:count]:
        half.socket.sendall(_frame(message)[: len(message) // 2])
    threads = [threading.Thread(target=_never_reads, args=(deaf, message), daemon=True) for deaf in stalled[count:]]
    for thread in threads:
        thread.start()
    time.sleep(2.0)
    beside_ms = _times_ms(good, request, asks)
    good.close()
    for each in stalled:
        with contextlib.suppress(OSError):
            each.socket.close()
    return {"half_messages": count, "never_read": count, "p50_ms_alone": alone_ms, "p50_ms_beside_them": beside_ms}


def _never_reads(raw: Any, message: bytes) -> None:
    with contextlib.suppress(Exception):  # closed, by the server or in the end
        for _ in range(5):
            raw.send(message)


def _times_ms(good: Connection, request: dict[str, Any], count: int) -> float:
    spent_ms = []
    for _ in range(count):
        started_s = time.perf_counter()
        assert "actions" in good.ask(request)
        spent_ms.append(1e3 * (time.perf_counter() - started_s))
    return float(np.median(spent_ms))


def restart(started: Started) -> dict[str, Any]:
    """The server is killed and started anew on its port; a client that asks all the while gets all its answers."""
    with _free_port() as port:
        pass
    settings = (f"serve.port={port}",)
    with started(*settings) as (process, uri):
        good, request = asking(uri, patience_s=300)
        assert "actions" in good.ask(request)
        process.kill()
        process.wait(30)
    answered: list[dict[str, Any]] = []
    client = threading.Thread(target=lambda: answered.append(good.ask(request)))
    began_s = time.monotonic()
    client.start()
    with started(*settings):
        client.join(300)
        waited_s = time.monotonic() - began_s
        assert answered and "actions" in answered[0]
        good.close()
    return {"client_answered": True, "waited_s": round(waited_s, 1)}


@contextlib.contextmanager
def _free_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def _frame(message: bytes) -> bytes:
    """A websocket's binary frame, masked with zeros as a client may."""
    return b"\x82\xff" + len(message).to_bytes(8, "big") + bytes(4) + message
