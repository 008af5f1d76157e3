"""The gates of a policy that does not act, on a real run's checkpoint and on the same one made worse."""

import json
import shutil

import jax
import numpy as np
import pytest

from pirig.config.load import of_run
from pirig.config.places import ASSETS, places_of
from pirig.datasets.lerobot.read import Dataset
from pirig.evaluation.inference import looks, made_up_looks
from pirig.gates.acts import acts, wrong_actions
from pirig.gates.ask import reports
from pirig.policies.policy import load_policy
from pirig.runs.progress import newest_checkpoint


@pytest.fixture(scope="module")
def parts(smoke_run):
    """(policy, data set) of the smoke run, compiled once for all faults."""
    policy = load_policy(newest_checkpoint(smoke_run.folder), flow_steps=2, batch_size=1)
    return policy, Dataset(places_of(of_run(smoke_run.folder, [])).data_set)


@pytest.fixture(params=["its data set", "made up"])
def with_weights(parts, request):
    """wrong(change): what is found after every leaf went through `change`."""
    policy, dataset = parts
    kept = policy.params
    shown = looks(dataset) if request.param == "its data set" else made_up_looks(policy.pipeline)

    def wrong(change):
        policy.params = jax.tree.map(change, kept)
        return acts(policy, shown, 1.0)

    yield wrong
    policy.params = kept


def test_nan_in_one_leaf_is_found(with_weights):
    said = with_weights(lambda leaf: leaf.at[(0,) * leaf.ndim].set(np.nan) if leaf.ndim == 2 else leaf)
    assert len(said) == 2 and "NaN" in said[0] and said[0].startswith("on zeros")


def test_a_policy_that_looks_at_nothing_is_found(with_weights):
    (said,) = with_weights(lambda leaf: leaf * 0)  # no velocity: the noise comes back
    assert "do not depend on what the policy sees" in said
    assert with_weights(lambda leaf: leaf) == []


def test_a_constant_chunk_is_found():
    moving = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    still = np.repeat(moving[:1], 4, axis=0)
    assert wrong_actions({"zeros": moving, "frame 3": moving + 0.1}, 1.0) == []
    (said,) = wrong_actions({"zeros": moving, "frame 3": still}, 1.0)
    assert said.startswith("on frame 3: the actions are the same at every step")


def test_a_checkpoint_of_another_contract_is_named_and_not_asked_further(smoke_run, tmp_path):
    run = tmp_path / smoke_run.folder.parent.name / smoke_run.folder.name
    shutil.copytree(smoke_run.folder, run)
    (tmp_path / "data").symlink_to(smoke_run.root / "data")
    checkpoint = newest_checkpoint(run)
    contract = checkpoint / ASSETS / "contract.json"
    contract.write_text(json.dumps(json.loads(contract.read_text()) | {"control_hz": 10}))
    ((_, report),) = reports(checkpoint)
    first, second = report.found["agreement"]
    assert "control_hz: 10 != 20" in first and "the run's config" in first and "the data set" in second
    assert "acts" not in report.found and "disagree" in report.impossible["acts"]


def test_a_checkpoint_without_its_run_is_asked_what_needs_no_data_set(smoke_run, tmp_path):
    alone = shutil.copytree(newest_checkpoint(smoke_run.folder), tmp_path / "policy")
    ((title, report),) = reports(alone)
    assert str(alone) in title and report.good and {"transforms", "acts"} <= set(report.found)


def test_every_gate_of_a_run_is_asked(smoke_run):
    """Its config's, its newest checkpoint's, its data set's; a gate is left out where the command line says so."""
    asked = [report for _, report in reports(smoke_run.folder, ["gates.skip=[acts]"])]
    config, checkpoint, dataset = ({*one.found, *one.skipped, *one.impossible} for one in asked)
    assert config == {"goal_is_observable"} and {"agreement", "transforms", "acts"} <= checkpoint
    assert {"finite", "statistics", "images", "demo_replay"} <= dataset
    assert asked[1].skipped == ["acts"] and all(one.good for one in asked)
