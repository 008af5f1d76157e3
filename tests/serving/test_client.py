"""`pirig client`, a policy over the network as something that acts, and a server that goes and comes back."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from pirig.cli import main
from pirig.contract import ContractError
from pirig.policies.layouts import random_look
from pirig.policies.remote import Connection, RemotePolicy, ServerError
from tests.serving.conftest import serving
from tests.serving.test_server import request


def test_pirig_client_measures(server, capsys):
    assert main(["client", f"ws://127.0.0.1:{server[1]}", "--count", "3", "--clients", "2"]) == 0
    said = capsys.readouterr().out
    assert "requests    6 in" in said and "p99" in said and "the same request gives the same actions" in said


def test_nobody_there_is_said(capsys):
    assert main(["client", "ws://127.0.0.1:1", "--wait", "0.1"]) == 1
    assert "no policy server answers" in capsys.readouterr().err
    assert main(["client", "htp:/nowhere", "--wait", "0.1"]) == 1
    assert "expected an address such as" in capsys.readouterr().err


def test_a_remote_policy_acts_as_the_local_one_bit_for_bit(policy, server):
    contract = policy.pipeline.contract
    remote = RemotePolicy(f"ws://127.0.0.1:{server[1]}", contract, connections=3)
    random = np.random.default_rng(3)
    looks = [random_look(contract, random) for _ in range(5)]
    images = {role: np.stack([look.images[role] for look in looks]) for role in looks[0].images}
    state = np.stack([look.state for look in looks])
    noise = random.standard_normal((5, *policy.noise_shape)).astype(np.float32)
    np.testing.assert_array_equal(remote.predict(images, state, noise), policy.predict(images, state, noise))
    assert (remote.horizon, remote.noise_shape) == (policy.horizon, policy.noise_shape)
    remote.close()


def test_another_contract_is_refused(policy, server):
    import dataclasses

    other = dataclasses.replace(policy.pipeline.contract, control_hz=10)
    with pytest.raises(ContractError, match="control_hz: 10 != 20"):
        RemotePolicy(f"ws://127.0.0.1:{server[1]}", other)


def test_an_error_of_the_server_is_said(policy, server):
    connection = Connection(f"ws://127.0.0.1:{server[1]}").open()
    with pytest.raises(ServerError, match="layout is known by its keys"):
        connection.ask({"nothing": 1})
    assert "actions" in connection.ask(request(policy)[1])
    connection.close()


def test_a_server_that_restarts_is_waited_for(policy, tmp_path):
    with serving(policy, tmp_path) as (_, port):
        connection = Connection(f"ws://127.0.0.1:{port}").open()
        connection.ask(request(policy)[1])
    back = threading.Event()

    def again():
        with serving(policy, tmp_path, port=port):
            back.wait(30)

    thread = threading.Thread(target=again)
    thread.start()
    try:
        assert "actions" in connection.ask(request(policy)[1])
    finally:
        connection.close()
        back.set()
        thread.join()


def test_an_evaluation_refuses_a_server_of_another_contract(policy, server):
    import dataclasses

    from pirig.evaluation.closed_loop import served_at

    uri, contract = f"ws://127.0.0.1:{server[1]}", policy.pipeline.contract
    served_at(uri, contract, "ours", connections=1).close()
    with pytest.raises(ContractError, match="fps"):
        served_at(uri, dataclasses.replace(contract, fps=5), "ours", connections=1)
