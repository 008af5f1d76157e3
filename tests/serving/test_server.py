"""The server beside the registry's openpi-client: answers, errors, many clients, keys, health, the end."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from openpi_client.websocket_client_policy import WebsocketClientPolicy
from websockets.sync.client import connect

from pirig.policies.layouts import named
from pirig.policies.remote import RemotePolicy
from pirig.policies.underway import Underway
from pirig.policies.wire import pack
from pirig.serving.batches import predictor
from pirig.serving.server import Limits, require_guarded
from tests.policies.test_layouts import shown
from tests.serving.conftest import serving


@pytest.fixture
def client(server):
    return WebsocketClientPolicy("127.0.0.1", server[1])


def request(policy, seed=0, **more):
    contract = policy.pipeline.contract
    random = np.random.default_rng(seed)
    noise = random.standard_normal(policy.noise_shape).astype(np.float32)
    look = shown(contract, state=random.uniform(-1, 1, contract.state_dim).astype(np.float32), noise=noise)
    return look, named("ours").write(look, contract) | more


def alone(policy, look):
    images = {role: image[None] for role, image in look.images.items()}
    return policy.predict(images, look.state[None], look.noise[None], [look.prompt])[0]


def get(port, path, **headers):
    with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)) as reply:
        return reply.status, reply.read().decode()


def test_openpis_client_gets_what_the_policy_gives_bit_for_bit(policy, client):
    look, sent = request(policy)
    reply = client.infer(sent)
    np.testing.assert_array_equal(reply["actions"], alone(policy, look))
    assert reply["server_timing"]["infer_ms"] > 0
    assert client.infer(sent)["server_timing"]["prev_total_ms"] > 0


def test_a_client_is_told_what_is_served(policy, client):
    told = client.get_server_metadata()
    contract = policy.pipeline.contract
    assert told["contract_hash"] == contract.hash
    assert (told["horizon"], told["action_dim"]) == (policy.horizon, contract.action_dim)


def test_a_bad_request_is_told_why_and_the_next_one_is_answered(policy, client):
    _, sent = request(policy)
    with pytest.raises(RuntimeError, match="state has 2 numbers"):
        client.infer(sent | {"state": np.zeros(2, np.float32)})
    with pytest.raises(RuntimeError, match="noise is"):
        client.infer(sent | {"noise": np.zeros((1, 1), np.float32)})
    assert client.infer(sent)["actions"].shape == (policy.horizon, policy.pipeline.contract.action_dim)


def test_requests_without_noise_differ_and_those_with_it_do_not(policy, client):
    _, sent = request(policy)
    first, second = client.infer(sent), client.infer(sent)
    np.testing.assert_array_equal(first["actions"], second["actions"])
    sent.pop("noise")
    assert np.abs(client.infer(sent)["actions"] - client.infer(sent)["actions"]).max() > 0


def test_many_clients_each_get_their_own_answer(policy, server):
    looks = [request(policy, seed) for seed in range(12)]

    def ask(pair):
        reply = WebsocketClientPolicy("127.0.0.1", server[1]).infer(pair[1])
        return reply["actions"]

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(ask, looks))
    for (look, _), actions in zip(looks, answers, strict=True):
        np.testing.assert_array_equal(actions, alone(policy, look))
    sizes = [line for line in get(server[1], "/metrics")[1].splitlines() if line.startswith("pirig_batch_size_sum")]
    assert float(sizes[0].split()[1]) >= 12


def test_health_and_metrics(server, client):
    assert get(server[1], "/healthz") == (200, "OK\n")
    text = get(server[1], "/metrics")[1]
    assert "pirig_clients" in text and 'pirig_requests_total{outcome="ok"}' in text


def test_text_and_rubbish_are_answered_with_a_sentence(server):
    with connect(f"ws://127.0.0.1:{server[1]}") as raw:
        raw.recv()
        raw.send("hello")
        assert "binary message" in raw.recv()
        raw.send(b"\xc1\xff")
        assert "no msgpack message" in raw.recv()
        raw.send(pack({"state": 1}))
        assert "layout is known by its keys" in raw.recv()


def test_a_chunk_that_is_underway_is_gone_on_from_where_the_server_takes_one(policy, client, tmp_path):
    look, sent = request(policy)
    underway = Underway(np.full((5, policy.pipeline.contract.action_dim), 0.1, np.float32), 2)
    more = {"underway": underway.actions, "delay": 2}
    with pytest.raises(RuntimeError, match=r"start it with serve\.rtc=true"):
        client.infer(sent | more)
    with serving(policy, tmp_path, rtc=True) as (_, port):
        blends = WebsocketClientPolicy("127.0.0.1", port)
        images = {role: image[None] for role, image in look.images.items()}
        here = policy.predict(images, look.state[None], look.noise[None], [look.prompt], underway=[underway])
        np.testing.assert_array_equal(blends.infer(sent | more)["actions"], here[0])
        np.testing.assert_array_equal(blends.infer(sent)["actions"], alone(policy, look))
        for wrong, said in (
            ({"delay": 6}, "a delay of 6 steps: 5 actions are underway"),
            ({"delay": 0.5}, "delay is a float"),
            ({"underway": np.zeros((9, 7), np.float32)}, r"\[9, 7\], expected \[1 to 8 steps, 7\]"),
            ({"underway": np.full((5, 7), np.nan, np.float32)}, "NaN"),
        ):
            with pytest.raises(RuntimeError, match=said):
                blends.infer(sent | more | wrong)
        remote = RemotePolicy(f"ws://127.0.0.1:{port}", policy.pipeline.contract, connections=1)
        there = remote.predict(images, look.state[None], look.noise[None], [look.prompt], underway=[underway])
        assert remote.blends
        np.testing.assert_array_equal(there, here)
        remote.close()


def test_a_key_is_asked_for(policy, tmp_path):
    with serving(policy, tmp_path, api_key="secret") as (_, port):
        for key in (None, "wrong"):
            with pytest.raises(Exception, match="401"):
                WebsocketClientPolicy("127.0.0.1", port, api_key=key)
        with pytest.raises(urllib.error.HTTPError, match="401"):
            get(port, "/metrics")
        assert get(port, "/healthz")[0] == 200
        assert "horizon" in WebsocketClientPolicy("127.0.0.1", port, api_key="secret").get_server_metadata()


def test_an_open_address_needs_a_key():
    with pytest.raises(ValueError, match=r"serve.host=0.0.0.0.*PIRIG_API_KEY"):
        require_guarded("0.0.0.0", "")
    require_guarded("0.0.0.0", "secret")
    require_guarded("127.0.0.1", "")


def test_more_clients_than_allowed_are_turned_away(policy, tmp_path):
    with serving(policy, tmp_path, limits=Limits(clients=1)) as (_, port):
        first = WebsocketClientPolicy("127.0.0.1", port)
        with pytest.raises(Exception, match="503"):
            WebsocketClientPolicy("127.0.0.1", port)
        first.infer(request(policy)[1])


def test_it_is_healthy_only_once_it_has_compiled_and_clients_wait_for_that(policy, tmp_path):
    gate, seen = threading.Event(), []

    def slow(batch, noise):
        gate.wait(30)
        return predictor(policy)(batch, noise)

    def watch(port):
        with pytest.raises(urllib.error.HTTPError, match="503"):
            get(port, "/healthz")
        seen.append("not healthy")
        threading.Timer(0.2, gate.set).start()
        seen.append(WebsocketClientPolicy("127.0.0.1", port).get_server_metadata()["horizon"])

    with serving(policy, tmp_path, predict=slow, started=watch) as (_, port):
        assert get(port, "/healthz")[0] == 200
    assert seen == ["not healthy", policy.horizon]


def test_what_waits_when_the_server_stops_is_answered(policy, tmp_path):
    entered = threading.Event()

    def slow(batch, noise):
        if len(entered_after) > 0:
            entered.set()
            time.sleep(0.5)
        entered_after.append(1)
        return predictor(policy)(batch, noise)

    entered_after: list[int] = []
    with serving(policy, tmp_path, predict=slow) as (running, port):
        client = WebsocketClientPolicy("127.0.0.1", port)
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(client.infer, request(policy)[1])
            assert entered.wait(10)
            running.ends()
            assert answer.result(20)["actions"].shape[0] == policy.horizon


def test_a_policy_that_fails_says_so_and_goes_on(policy, tmp_path):
    broken = []

    def sometimes(batch, noise):
        if broken:
            raise RuntimeError("out of memory")
        return predictor(policy)(batch, noise)

    with serving(policy, tmp_path, predict=sometimes) as (_, port):
        client = WebsocketClientPolicy("127.0.0.1", port)
        broken.append(1)
        with pytest.raises(RuntimeError, match="the policy failed: RuntimeError: out of memory"):
            client.infer(request(policy)[1])
        broken.clear()
        assert "actions" in client.infer(request(policy)[1])


def test_a_client_that_dies_in_the_middle_harms_nobody(policy, server, client):
    for _ in range(5):
        raw = connect(f"ws://127.0.0.1:{server[1]}")
        raw.recv()
        raw.send(pack(request(policy)[1]))
        raw.socket.close()
    assert "actions" in client.infer(request(policy)[1])
