"""`pirig robot --dry-run` against a real server on loopback: a policy that holds still, and one that does not."""

from __future__ import annotations

import numpy as np
import pytest

from pirig.cli import main
from pirig.policies.policy import Policy
from tests.evaluation.conftest import params, pipeline  # noqa: F401
from tests.serving.conftest import serving


@pytest.fixture(scope="module")
def arm_policy(pipeline, params):  # noqa: F811
    """Of the arm's contract (this folder's), with random parameters."""
    return Policy(params, pipeline, flow_steps=1, batch_size=2)


def held(batch, noise):
    """Chunks that stay where the arm is."""
    return np.stack([np.repeat(shown.state[None], noise.shape[1], axis=0) for shown in batch])


def test_a_policy_that_holds_still_is_driven_to_the_end(arm_policy, tmp_path, capsys):
    with serving(arm_policy, tmp_path, predict=held) as (_, port):
        log = tmp_path / "log"
        assert main(["robot", f"ws://127.0.0.1:{port}", "--dry-run", "--seconds", "1.5", "--log", str(log)]) == 0
    said = capsys.readouterr().out
    assert "15 ticks at 10 Hz" in said and "after the time that was asked for" in said
    (path,) = (log / "libero_format").iterdir()
    with np.load(path) as driven:
        assert driven["states"].shape == (15, 8) and str(driven["task"]) == "Put the mug away"


def test_a_policy_that_jumps_is_stopped(arm_policy, tmp_path, capsys):
    with serving(arm_policy, tmp_path) as (_, port):
        assert main(["robot", f"ws://127.0.0.1:{port}", "--dry-run", "--seconds", "2"]) == 1
    assert "ended       stopped: " in capsys.readouterr().out


def test_no_server_moves_nothing(capsys):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pirig.policies.remote.Connection.patience_s", 0.1, raising=False)
        patch.setattr("pirig.policies.remote.RETRY_S", 1e9)
        assert main(["robot", "ws://127.0.0.1:1", "--dry-run"]) == 1
    assert "no policy server answers" in capsys.readouterr().err
