"""openpi's own server asked by `pirig client`, and openpi's own example asking `pirig serve`, both unchanged and on loopback."""

from __future__ import annotations

import dataclasses
import importlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest

from pirig.cli import main
from pirig.contract import Camera
from pirig.models.pi0 import init_params
from pirig.policies.policy import Policy
from pirig.policies.remote import RemotePolicy, ServerError
from pirig.transforms.normalize import NormStats
from tests.robots.conftest import contract as arms_contract  # noqa: F401
from tests.serving.conftest import serving

pytestmark = pytest.mark.openpi
ROLES = ("base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb")


# a policy as openpi's server asks it: the state's numbers as each of four actions
REPEATS = """
import sys
import numpy as np
from openpi.serving.websocket_policy_server import WebsocketPolicyServer
class Repeats:
    def infer(self, request):
        return {"actions": np.tile(np.asarray(request["observation/state"], np.float32), (4, 1))}
WebsocketPolicyServer(Repeats(), "127.0.0.1", int(sys.argv[1]), metadata={"policy": "repeats"}).serve_forever()
"""


@pytest.fixture
def uri() -> Iterator[str]:
    """Of openpi's server, in a process of its own; a client waits until it listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", REPEATS, str(port)])
    yield f"ws://127.0.0.1:{port}"
    process.terminate()
    process.wait(30)


def test_pirig_client_measures_openpis_server(uri, capsys):
    assert main(["client", uri, "--layout", "libero", "--count", "5", "--clients", "2"]) == 0
    said = capsys.readouterr().out
    assert "requests    10 in" in said and "float32 [4, 8]" in said and "draws its own noise" in said
    assert main(["client", uri]) == 1
    assert "give --layout libero, droid or aloha" in capsys.readouterr().err


def test_what_an_evaluation_drives_takes_the_actions_of_openpis_server(uri, arms_contract):  # noqa: F811
    images = {one.role: np.zeros((1, one.height_px, one.width_px, 3), np.uint8) for one in arms_contract.cameras}
    state, noise = np.linspace(0, 1, 8, dtype=np.float32)[None], np.zeros((1, 1, 1), np.float32)
    remote = RemotePolicy(uri, arms_contract, layout="libero", connections=1)
    np.testing.assert_array_equal(remote.predict(images, state, noise), np.tile(state[:, None], (1, 4, 1)))
    remote.close()
    with pytest.raises(ServerError, match="observation/state"):  # it is asked once, for how many actions it gives
        RemotePolicy(uri, arms_contract, layout="droid", connections=1)


@pytest.mark.parametrize(("example", "state_dim", "cameras"), [("LIBERO", 8, 2), ("DROID", 8, 2), ("ALOHA_SIM", 14, 3)])
def test_openpis_simple_client_is_answered(pipeline, arms_contract, tmp_path, example, state_dim, cameras):  # noqa: F811
    """Its pictures are of 224 px, as the model takes them."""
    openpi = importlib.import_module("openpi.serving.websocket_policy_server")
    script = Path(openpi.__file__ or "").parents[3] / "examples/simple_client/main.py"
    sized = dataclasses.replace(
        arms_contract,
        image_px=224,
        state_dim=state_dim,
        cameras=tuple(Camera(role, role, 224, 224) for role in ROLES[:cameras]),
    )
    policy = policy_of(pipeline, sized)
    with serving(policy, tmp_path) as (_, port):
        words = ["--host", "127.0.0.1", "--port", str(port), "--env", example, "--num-steps", "3"]
        asked = subprocess.run([sys.executable, str(script), *words], capture_output=True, text=True, timeout=300)
    assert asked.returncode == 0, asked.stderr
    assert "server_infer_ms" in asked.stdout and "policy_infer_ms" in asked.stdout


def policy_of(pipeline, contract) -> Policy:
    """An untrained one of this contract, with pictures in four patches."""
    image = dataclasses.replace(pipeline.model_config.image, image_px=224, patch_px=112)
    config = dataclasses.replace(pipeline.model_config, image=image, pi05=False, action_dim=14)
    ones = {
        name: np.ones(count, np.float32)
        for name, count in (("state", contract.state_dim), ("actions", contract.action_dim))
    }
    stats = {name: NormStats(mean=0 * one, std=one, q01=-one, q99=one) for name, one in ones.items()}
    own = dataclasses.replace(pipeline, contract=contract, model_config=config, stats=stats, state_in_prompt=False)
    return Policy(init_params(jax.random.key(0), config), own, flow_steps=1, batch_size=1)
