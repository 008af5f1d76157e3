"""`pirig verify` on a real run, and on the same run made worse."""

import json
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest

from pirig.config.load import of_run
from pirig.config.places import ASSETS, places_of
from pirig.runs.progress import newest_checkpoint
from pirig.stages import verify


@pytest.fixture(scope="module")
def parts(smoke_run):
    """(policy, data set) of the smoke run, compiled once for all faults."""
    config = of_run(smoke_run.folder, [])
    policy = verify._load(newest_checkpoint(smoke_run.folder), config.eval.flow_steps)
    return policy, verify._data_set(places_of(config).data_set)


@pytest.fixture
def with_weights(parts):
    """wrong(change): what verify finds after every leaf went through `change`."""
    policy, dataset = parts
    kept = policy._params

    def wrong(change):
        policy._params = jax.tree.map(change, kept)
        return verify.infer(policy, dataset)

    yield wrong
    policy._params = kept


def test_a_good_run_shows_shapes_ranges_and_times(smoke_run):
    command = [sys.executable, "-m", "pirig", "verify", str(smoke_run.folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for words in ("float32 [16, 7]", "uint8 [1, 128, 128, 3]", "zeros ", "frame ", " ms, then"):
        assert words in done.stdout
    assert "ok    finite, not constant" in done.stdout


def test_nan_in_one_leaf_is_found(with_weights):
    found = with_weights(lambda leaf: leaf.at[(0,) * leaf.ndim].set(np.nan) if leaf.ndim == 2 else leaf)
    assert len(found) == 2 and "NaN" in found[0] and found[0].startswith("on zeros")


def test_a_policy_that_looks_at_nothing_is_found(with_weights):
    (found,) = with_weights(lambda leaf: leaf * 0)  # no velocity: the noise comes back
    assert "do not depend on what the policy sees" in found
    assert with_weights(lambda leaf: leaf) == []


def test_a_constant_chunk_is_found():
    moving = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    held = np.repeat(moving[:1], 4, axis=0)
    assert verify.wrong_actions({"zeros": moving, "frame 3": moving + 0.1}, 1.0) == []
    (found,) = verify.wrong_actions({"zeros": moving, "frame 3": held}, 1.0)
    assert found.startswith("on frame 3: the actions are the same at every step")


def test_another_contract_is_named_before_any_inference(smoke_run, tmp_path, capsys):
    run = tmp_path / "smoke" / "one"
    shutil.copytree(smoke_run.folder, run)
    with pytest.raises(ValueError, match="the run's data set is not there; give its folder"):
        verify.main([str(run)])
    contract = newest_checkpoint(run) / ASSETS / "contract.json"
    contract.write_text(json.dumps(json.loads(contract.read_text()) | {"control_hz": 10}))
    (data,) = smoke_run.root.glob("data/*/lerobot")
    assert verify.main([str(run), str(data)]) == 1
    shown = capsys.readouterr().out
    assert "control_hz: 10 != 20" in shown and "the run's config" in shown and "the data set" in shown
    assert "actions" not in shown


def test_no_checkpoint_yet_is_said(smoke_run, tmp_path):
    (tmp_path / "run").mkdir()
    shutil.copy(smoke_run.folder / "config.yaml", tmp_path / "run" / "config.yaml")
    with pytest.raises(ValueError, match="no checkpoint yet"):
        verify.main([str(tmp_path / "run")])
