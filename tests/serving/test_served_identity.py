"""Episodes of a policy server are of one policy: another one that is served there later is refused, with both."""

import numpy as np
import pytest

from pirig.evaluation.served import FILE_NAME, require_same
from pirig.files.identity import IdentityError
from pirig.policies.remote import Connection, RemotePolicy, ServerError
from tests.serving.conftest import serving
from tests.serving.test_server import request


def weights(folder, value):
    (folder / "7/params").mkdir(parents=True, exist_ok=True)
    (folder / "7/params/leaf").write_bytes(bytes([value]) * 100)


@pytest.fixture
def quick(policy):
    """Answers without computing."""
    return lambda batch, noise: np.zeros((len(batch), policy.horizon, policy.pipeline.contract.action_dim), np.float32)


def test_results_of_a_server_are_of_one_policy(policy, quick, tmp_path):
    weights(tmp_path, 1)
    with serving(policy, tmp_path, predict=quick) as (_, port):
        first = RemotePolicy(f"ws://127.0.0.1:{port}", policy.pipeline.contract, connections=1)
        require_same(tmp_path / "eval", first)
        require_same(tmp_path / "eval", first)
        first.close()
    weights(tmp_path, 2)
    kept = (tmp_path / "eval" / FILE_NAME).read_bytes()
    with serving(policy, tmp_path, predict=quick) as (_, port):
        other = RemotePolicy(f"ws://127.0.0.1:{port}", policy.pipeline.contract, connections=1)
        with pytest.raises(IdentityError, match=r"weights: '\w{16}' then, '\w{16}' now\n.*run.mode=overwrite"):
            require_same(tmp_path / "eval", other)
        other.metadata = {"server": "another's"}
        with pytest.raises(IdentityError, match="None now"):
            require_same(tmp_path / "eval", other)
        other.close()
    assert (tmp_path / "eval" / FILE_NAME).read_bytes() == kept


@pytest.mark.parametrize("same", [True, False])
def test_a_server_that_comes_back_with_another_policy_is_refused(policy, quick, tmp_path, same):
    weights(tmp_path, 1)
    with serving(policy, tmp_path, predict=quick) as (_, port):
        connection = Connection(f"ws://127.0.0.1:{port}").open()
        connection.ask(request(policy)[1])
    weights(tmp_path, 1 if same else 2)
    with serving(policy, tmp_path, predict=quick, port=port):
        if same:
            assert "actions" in connection.ask(request(policy)[1])
            connection.close()
        else:
            with pytest.raises(ServerError, match=r"another policy is served there now .*weights: \w+ then, \w+ now"):
                connection.ask(request(policy)[1])
