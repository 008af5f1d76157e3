"""A policy server that speaks openpi's websocket protocol.

On connecting, a client gets a map that says what is served; then each message is an observation and each answer a chunk of
actions, packed as `policies/wire.py` says. Text in place of an answer is an error. Plain HTTP: /healthz, /metrics.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hmac
import itertools
import queue
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import numpy as np
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request as HttpRequest
from websockets.http11 import Response

from pirig.contract import Contract
from pirig.policies import layouts
from pirig.policies.wire import MIB, WireError, pack, unpack
from pirig.serving.batches import Answer, Batches
from pirig.serving.metrics import Metrics

LOOPBACK = ("127.0.0.1", "::1", "localhost")
REMEDIES = {
    errno.EADDRINUSE: "another server has this port: give serve.port=0 for a free one, or end that server",
    errno.EACCES: "ports below 1024 are the system's: give serve.port=8000",
}
DRAIN_S = 30.0  # what is being computed when the server is told to stop may take so long


@dataclass(frozen=True)
class Limits:
    """`send_s`: a client that does not take its answer for so long is closed. `idle_s`: between pings that it must answer."""

    message_mib: float = 64.0
    clients: int = 256
    send_s: float = 20.0
    idle_s: float = 60.0


@dataclass(frozen=True)
class Served:
    """`noise_shape` is [A, J] of the model; a request that brings no noise gets the next of `seed`'s. `by_task`: each task's
    numbers are normalised by its own statistics, so a request's prompt must be the sentence of one. `rtc`: a request may bring
    the chunk that is underway."""

    contract: Contract
    noise_shape: tuple[int, int]
    metadata: dict[str, Any]
    seed: int = 0
    by_task: bool = False
    rtc: bool = False


class PolicyServer:
    """`api_key` "": none is asked for, which only a server on loopback may do."""

    def __init__(self, batches: Batches, served: Served, *, api_key: str = "", limits: Limits | None = None):
        self.batches, self.served, self.api_key = batches, served, api_key
        self.limits, self.metrics = limits or Limits(), Metrics()
        self.ready, self.stop = asyncio.Event(), asyncio.Event()
        self._numbers = itertools.count()
        self._busy = self._clients = 0  # requests that are being answered; open connections

    async def run(self, host: str, port: int, *, started: Callable[[int], None], warm: Callable[[], None]) -> None:
        """Listens at once, answers once `warm` (compiling) is done, until SIGTERM or SIGINT; what runs then is finished.

        `started` is told the port. Raises ValueError where no API key guards another address than loopback.
        """
        require_guarded(host, self.api_key)
        with contextlib.suppress(RuntimeError):  # another thread than the main one gets no signals
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, self.stop.set)
        async with self._listening(host, port) as listening:
            started(listening.sockets[0].getsockname()[1])
            await asyncio.to_thread(warm)
            self.ready.set()
            await self.stop.wait()
            await self._drain(listening)

    def _listening(self, host: str, port: int) -> Any:
        return serve(
            self._client,
            host,
            port,
            compression=None,
            max_size=int(self.limits.message_mib * MIB),
            max_queue=2,
            process_request=self._http,
            ping_interval=self.limits.idle_s,
            ping_timeout=self.limits.idle_s,
            server_header="pirig",
        )

    async def _drain(self, listening: Server) -> None:
        """No new clients; those who wait for an answer get it."""
        listening.close(close_connections=False)
        until_s = time.monotonic() + DRAIN_S
        while self._busy and time.monotonic() < until_s:
            await asyncio.sleep(0.02)
        await asyncio.gather(
            *(client.close(CloseCode.GOING_AWAY, "the server stops") for client in list(listening.connections)),
            return_exceptions=True,
        )

    def _http(self, connection: ServerConnection, request: HttpRequest) -> Response | None:
        if request.path == "/healthz" and self.ready.is_set():
            return connection.respond(HTTPStatus.OK, "OK\n")
        if request.path == "/healthz":
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "compiling\n")
        if not self._may_enter(request):
            return connection.respond(HTTPStatus.UNAUTHORIZED, "expected the header: Authorization: Api-Key KEY\n")
        if request.path == "/metrics":
            return connection.respond(HTTPStatus.OK, self.metrics.text().decode())
        if self._clients >= self.limits.clients:
            return connection.respond(
                HTTPStatus.SERVICE_UNAVAILABLE, f"{self._clients} clients are connected already\n"
            )
        return None

    def _may_enter(self, request: HttpRequest) -> bool:
        told = request.headers.get("Authorization", "")
        return not self.api_key or hmac.compare_digest(told.encode(), f"Api-Key {self.api_key}".encode())

    async def _client(self, connection: ServerConnection) -> None:
        self._clients += 1
        self.metrics.clients.set(self._clients)
        try:
            await self.ready.wait()
            await connection.send(pack(self.served.metadata))
            took_ms = None
            async for message in connection:
                took_ms = await self._answered(connection, message, took_ms)
        except (ConnectionClosed, TimeoutError):
            return  # gone, or too slow to take its answer
        finally:
            self._clients -= 1
            self.metrics.clients.set(self._clients)

    async def _answered(self, connection: ServerConnection, message: str | bytes, before_ms: float | None) -> float:
        """One request -> how long it took. A request that cannot be answered is told why; the connection stays open."""
        started_s = time.perf_counter()
        self._busy += 1
        try:
            reply, outcome = await self._reply(message, before_ms)
            self.metrics.requests.labels(outcome).inc()
            await asyncio.wait_for(connection.send(reply), self.limits.send_s)
        finally:
            self._busy -= 1
        spent_s = time.perf_counter() - started_s
        self.metrics.seconds.observe(spent_s)
        return 1e3 * spent_s

    async def _reply(self, message: str | bytes, before_ms: float | None) -> tuple[str | bytes, str]:
        try:
            shown, noise = self._taken(message)
            answer = await asyncio.wrap_future(self.batches.submit(shown, noise))
        except queue.Full:
            return "the server has more requests than it can serve; ask again later", "refused"
        except ValueError as error:
            return str(error), "refused"
        except Exception as error:
            return f"the policy failed: {type(error).__name__}: {error}", "failed"
        self.metrics.batch.observe(answer.batch)
        return pack(_response(answer, before_ms)), "ok"

    def _taken(self, message: str | bytes) -> tuple[layouts.Shown, np.ndarray]:
        """Raises ValueError for a message that is no observation of this policy."""
        if isinstance(message, str):
            raise WireError("a request is a binary message (msgpack), this one is text")
        shown = layouts.read(unpack(message, self.limits.message_mib), self.served.contract)
        require_known_prompt(shown.prompt, self.served.contract, by_task=self.served.by_task)
        self._require_underway(shown)
        return shown, self._noise(shown)

    def _require_underway(self, shown: layouts.Shown) -> None:
        if shown.underway is None:
            return
        if not self.served.rtc:
            raise ValueError("this server takes no chunk that is underway; start it with serve.rtc=true")
        shown.underway.require_fits(self.served.noise_shape[0], self.served.contract.action_dim)

    def _noise(self, shown: layouts.Shown) -> np.ndarray:
        if shown.noise is None:
            random = np.random.default_rng([self.served.seed, next(self._numbers)])
            return random.standard_normal(self.served.noise_shape, np.float32)
        if shown.noise.shape != self.served.noise_shape:
            raise ValueError(f"noise is {list(shown.noise.shape)}, expected {list(self.served.noise_shape)}")
        return shown.noise


def _response(answer: Answer, before_ms: float | None) -> dict[str, Any]:
    timing = {"infer_ms": answer.infer_ms} | ({} if before_ms is None else {"prev_total_ms": before_ms})
    return {"actions": answer.actions, "policy_timing": {"infer_ms": answer.infer_ms}, "server_timing": timing}


def require_known_prompt(prompt: str | None, contract: Contract, *, by_task: bool = False) -> None:
    """Raises ValueError where a policy of several tasks is asked without a sentence, or `by_task` with none of theirs."""
    prompts = [scene.prompt for scene in contract.scenes]
    if prompt is None and len(prompts) > 1:
        raise ValueError(f"this policy knows {len(prompts)} tasks, so a request needs a prompt ({'; '.join(prompts)})")
    if by_task and prompt not in prompts:
        raise ValueError(
            f"this policy normalises each task by its own statistics, so a request's prompt must be the sentence of a task "
            f"({'; '.join(prompts)}), found {prompt!r}"
        )


def require_port(host: str, port: int) -> None:
    """Raises ValueError where nothing can listen there, before a policy is loaded."""
    try:
        place, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        with socket.socket(place[0], place[1]) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place[4])
            probe.listen(1)
    except OSError as error:
        remedy = REMEDIES.get(error.errno or 0, "give serve.host=127.0.0.1, or an address of this machine")
        reason = error.strerror or str(error)
        raise ValueError(
            f"serve.host={host} serve.port={port}: nothing can listen there ({reason}); {remedy}."
        ) from error


def require_cameras(cameras: Mapping[str, str], roles: Sequence[str]) -> None:
    """Raises ValueError where a benchmark's camera is named as a role that the policy does not see."""
    for name, role in cameras.items():
        if role not in roles:
            raise ValueError(f"serve.cameras.{name}={role}: this policy sees {', '.join(roles)}; name one of them.")


def require_guarded(host: str, api_key: str) -> None:
    """Raises ValueError where a server would stand open to a network without a key."""
    if host not in LOOPBACK and not api_key:
        raise ValueError(
            f"serve.host={host}: whoever reaches this address could drive the policy; set PIRIG_API_KEY to a secret "
            "(clients send it, openpi-client as api_key=...), or serve on 127.0.0.1"
        )
