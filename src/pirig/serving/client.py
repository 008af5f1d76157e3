"""What a policy server takes and gives, measured from a client's side: latency, throughput, shapes, error on recorded frames."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from pirig.contract import Contract
from pirig.policies.layouts import NOISE, named, random_look
from pirig.policies.remote import Connection

Ask = Callable[[np.random.Generator], dict[str, Any]]  # a new request


@dataclass(frozen=True)
class Measured:
    """`spent_ms` of each request, from sending to the answer; `wall_s` of all clients together."""

    spent_ms: np.ndarray
    wall_s: float
    actions: np.ndarray  # of the last answer

    def lines(self) -> Iterator[str]:
        p50, p95, p99 = np.percentile(self.spent_ms, (50, 95, 99))
        yield f"requests    {len(self.spent_ms)} in {self.wall_s:.1f} s, {len(self.spent_ms) / self.wall_s:.1f} a second"
        yield f"latency     p50 {p50:.1f} ms, p95 {p95:.1f} ms, p99 {p99:.1f} ms, longest {self.spent_ms.max():.1f} ms"
        kind = f"{self.actions.dtype} {list(self.actions.shape)}"
        yield f"actions     {kind}, {self.actions.min():.4g} to {self.actions.max():.4g}"


def requests_of(metadata: dict[str, Any], layout: str) -> Ask:
    """What to ask a server: by the contract that it says, or for another's server by openpi's own example of a layout."""
    if "contract" in metadata:
        contract = Contract.from_json(metadata["contract"], "the server")
        return lambda random: named(layout or "ours").write(random_look(contract, random), contract)
    if not layout:
        raise ValueError("this server does not say what it wants; give --layout libero, droid or aloha")
    return named(layout).example


def measure(connections: list[Connection], ask: Ask, count: int) -> Measured:
    """`count` requests a connection, all connections at once. Raises ServerError with what a server says instead."""

    def client(number: int) -> tuple[list[float], np.ndarray]:
        random, spent_ms, actions = np.random.default_rng(number), [], np.empty(0)
        for _ in range(count):
            request = ask(random)
            started_s = time.perf_counter()
            actions = np.asarray(connections[number].ask(request)["actions"])
            spent_ms.append(1e3 * (time.perf_counter() - started_s))
        return spent_ms, actions

    started_s = time.perf_counter()
    with ThreadPoolExecutor(len(connections)) as pool:
        parts = list(pool.map(client, range(len(connections))))
    wall_s = time.perf_counter() - started_s
    return Measured(np.array([ms for spent, _ in parts for ms in spent]), wall_s, parts[-1][1])


def repeats(connection: Connection, ask: Ask) -> bool | None:
    """Whether the same request with the same noise gives the same actions; None for a server that takes no noise."""
    shape = connection.metadata.get("noise_shape")
    if shape is None:
        return None
    random = np.random.default_rng(0)
    request = ask(random) | {NOISE: random.standard_normal(tuple(shape)).astype(np.float32)}
    first, second = (np.asarray(connection.ask(request)["actions"]) for _ in range(2))
    return bool(np.array_equal(first, second))
