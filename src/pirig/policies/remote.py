"""A policy behind a socket as something that acts: the client's side of openpi's protocol, whoever's server it is."""

from __future__ import annotations

import queue
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.sync.client import ClientConnection, connect

from pirig.contract import Contract, require_equal
from pirig.policies.layouts import Shown, blank, named
from pirig.policies.policy import observed
from pirig.policies.underway import Underway
from pirig.policies.wire import WireError, pack, unpack
from pirig.sim.door import Observation

ANSWER_MIB = 64.0
RETRY_S = 0.5
SILENT_S = 5.0  # so long is waited for without a word
SERVED = ("weights", "contract_hash")  # by which one policy is told from another


class ServerError(ValueError):
    """What a policy server answered in place of actions, or that none answers."""


@dataclass
class Connection:
    """One client of a server. `ask` is for one thread at a time.

    A server that goes away is waited for, up to `patience_s`: it may be restarted under a client. Raises ValueError where
    the address or the key is wrong, ServerError where nobody answers in time.
    """

    uri: str
    api_key: str = ""
    patience_s: float = 60.0
    metadata: dict[str, Any] = field(default_factory=dict)
    _socket: ClientConnection | None = None
    _first: dict[str, str] = field(default_factory=dict)

    def open(self) -> Connection:
        until_s, said = time.monotonic() + self.patience_s, self.patience_s < SILENT_S
        while True:
            try:
                self._socket = self._connected(until_s)
                return self._same_as_before()
            except (OSError, ConnectionClosed, InvalidHandshake) as error:
                if time.monotonic() + RETRY_S > until_s:
                    raise ServerError(f"{self.uri}: no policy server answers ({error})") from error
                if not said:
                    waits = f"{self.uri}: no policy server answers yet, waiting up to {self.patience_s:g} s"
                    print(waits, file=sys.stderr, flush=True)
                    said = True
                time.sleep(RETRY_S)

    def _same_as_before(self) -> Connection:
        """Raises ServerError where another policy is served there than at first."""
        now = served(self.metadata)
        before, self._first = self._first, self._first or now
        if before and before != now:
            self.close()
            changed = [
                f"{name}: {before.get(name)} then, {now.get(name)} now"
                for name in SERVED
                if before.get(name) != now.get(name)
            ]
            raise ServerError(f"{self.uri}: another policy is served there now than at first ({'; '.join(changed)})")
        return self

    def _connected(self, until_s: float) -> ClientConnection:
        headers = {"Authorization": f"Api-Key {self.api_key}"} if self.api_key else None
        left_s = max(1.0, until_s - time.monotonic())
        try:
            socket = connect(
                self.uri,
                compression=None,
                max_size=None,
                additional_headers=headers,
                open_timeout=left_s,
                ping_interval=None,
            )
        except (InvalidURI, ValueError) as error:
            raise ValueError(f"{self.uri}: expected an address such as ws://127.0.0.1:8000 ({error})") from error
        except InvalidStatus as error:
            if error.response.status_code in (401, 403):
                raise ValueError(f"{self.uri}: the server wants an API key; set PIRIG_API_KEY to its secret") from error
            raise
        told = unpack(_bytes(socket.recv(timeout=left_s)), ANSWER_MIB)
        self.metadata = told if isinstance(told, dict) else {}
        return socket

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Raises ServerError with what the server says in place of an answer."""
        message = pack(request)
        for last in (False, True):
            try:
                assert self._socket is not None, "open() first"
                self._socket.send(message)
                return _answer(self._socket.recv(timeout=self.patience_s))
            except TimeoutError as error:
                raise ServerError(f"{self.uri}: no answer within {self.patience_s:g} s") from error
            except ConnectionClosed as error:
                if last:
                    raise ServerError(f"{self.uri}: the server ended the connection ({error})") from error
                self.open()
        raise AssertionError

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


def served(metadata: dict[str, Any]) -> dict[str, str]:
    """What a server says of the policy that it serves; {} of one that is not ours."""
    return {name: str(metadata[name]) for name in SERVED if name in metadata}


class RemotePolicy:
    """A server's policy with a contract's eyes: what `policies.policy.Policy` offers, over the network.

    `layout`: how its requests are written. A server that says its contract (ours does) is compared with ours. `batch_size`
    requests are sent at once, each on a connection of its own, so that the server can batch them. Raises ContractError where
    the contracts differ, ValueError where the server's actions do not fit.
    """

    def __init__(self, uri: str, contract: Contract, *, layout: str = "ours", api_key: str = "", connections: int = 4):
        self.contract, self.batch_size, self._layout = contract, connections, named(layout)
        first = Connection(uri, api_key).open()
        self.metadata = first.metadata
        if told := self.metadata.get("contract"):
            require_equal(contract, Contract.from_json(told, uri), our_name="this config", their_name=f"server {uri}")
        self._free: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        for connection in [first, *(Connection(uri, api_key).open() for _ in range(connections - 1))]:
            self._free.put(connection)
        self._threads = ThreadPoolExecutor(connections, thread_name_prefix="policy-server")
        height, width = self.metadata.get("noise_shape", (1, 1))
        self.noise_shape = (int(height), int(width))
        self.blends = layout == "ours" and bool(self.metadata.get("rtc"))
        self.horizon = len(self._asked(blank(contract)))

    def infer(
        self,
        observations: Sequence[Observation],
        noise: np.ndarray,
        prompts: Sequence[str] | None = None,
        *,
        underway: Sequence[Underway | None] | None = None,
    ) -> np.ndarray:
        """As `Policy.infer`; a server that is not ours draws its own noise."""
        return self.predict(*observed(self.contract, observations), noise, prompts, underway=underway)

    def predict(
        self,
        images: dict[str, np.ndarray],
        state_raw: np.ndarray,
        noise: np.ndarray,
        prompts: Sequence[str] | None = None,
        *,
        underway: Sequence[Underway | None] | None = None,
    ) -> np.ndarray:
        """As `Policy.predict`. What is underway goes to a server that `blends`."""
        told = [self.contract.prompt] * len(state_raw) if prompts is None else prompts
        ours = "noise_shape" in self.metadata
        rows = [
            Shown(
                {role: image[row] for role, image in images.items()},
                state_raw[row],
                told[row],
                noise[row] if ours else None,
                underway[row] if underway else None,
            )
            for row in range(len(state_raw))
        ]
        return np.stack(list(self._threads.map(self._asked, rows)))

    def _asked(self, shown: Shown) -> np.ndarray:
        with self._connection() as connection:
            reply = connection.ask(self._layout.write(shown, self.contract))
        actions = np.asarray(reply.get("actions"), np.float32) if "actions" in reply else np.empty(0)
        if actions.ndim != 2 or actions.shape[1] != self.contract.action_dim:
            raise ValueError(
                f"the server's actions are {list(actions.shape)}, expected [steps, {self.contract.action_dim}]: "
                "another robot's, or another control mode's"
            )
        return actions

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        connection = self._free.get()
        try:
            yield connection
        finally:
            self._free.put(connection)

    def close(self) -> None:
        self._threads.shutdown()
        while not self._free.empty():
            self._free.get().close()


def _bytes(message: str | bytes) -> bytes:
    if isinstance(message, str):
        raise ServerError(f"the server says: {message.strip()}")
    return message


def _answer(message: str | bytes) -> dict[str, Any]:
    reply = unpack(_bytes(message), ANSWER_MIB)
    if not isinstance(reply, dict):
        raise WireError(f"the server's answer is a {type(reply).__name__}, expected a map with actions")
    return reply
