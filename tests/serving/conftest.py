"""A tiny policy behind a server on a free port of loopback, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

import pytest

from pirig.policies.policy import Policy
from pirig.serving.batches import Batches, predictor
from pirig.serving.checkpoint import metadata, warm
from pirig.serving.server import PolicyServer, Served
from tests.evaluation.conftest import contract, params, pipeline  # noqa: F401


@pytest.fixture(scope="session")
def policy(pipeline, params):  # noqa: F811
    return Policy(params, pipeline, flow_steps=2, batch_size=4)


@contextlib.contextmanager
def serving(
    policy: Policy, tmp_path, predict=None, started=None, port=0, rtc=False, **settings
) -> Iterator[tuple[PolicyServer, int]]:
    """A server and its port; leaving the context drains it. `started` is told the port before the server has compiled."""
    predict = predict or predictor(policy)
    about = metadata(policy, tmp_path / "7", rtc=rtc)
    served = Served(policy.pipeline.contract, policy.noise_shape, about, rtc=rtc)
    listens, ready, ports = threading.Event(), threading.Event(), []

    async def run(server: PolicyServer) -> None:
        loop = asyncio.get_running_loop()
        server.ends = lambda: None if loop.is_closed() else loop.call_soon_threadsafe(server.stop.set)  # type: ignore[attr-defined]
        say, compile_ = (lambda at: (ports.append(at), listens.set())), lambda: warm(predict, policy, rtc=rtc)
        await server.run("127.0.0.1", port, started=say, warm=lambda: (compile_(), ready.set()))

    with Batches(predict, max_batch=8, max_wait_s=0.002) as batches:
        server = PolicyServer(batches, served, **settings)
        thread = threading.Thread(target=lambda: asyncio.run(run(server)), daemon=True)
        thread.start()
        assert listens.wait(60)
        if started:
            started(ports[0])
        assert ready.wait(60)
        yield server, ports[0]
        server.ends()  # type: ignore[attr-defined]
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def server(policy, tmp_path_factory):
    with serving(policy, tmp_path_factory.mktemp("served")) as (running, port):
        yield running, port
