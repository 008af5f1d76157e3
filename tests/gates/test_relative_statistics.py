"""Actions relative to the state on a recorded arm: their statistics, the gates on them, what shows a policy's faults."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.datasets.lerobot.read import Dataset
from pirig.datasets.make_stats import relation_of
from pirig.datasets.norm_stats import compute
from pirig.evaluation.inference import looks
from pirig.evaluation.open_loop import OpenLoop
from pirig.gates import ask, numbers, policy
from pirig.gates.acts import acts
from pirig.policies.assets import card_of
from pirig.runs import progress
from pirig.stages import stats
from pirig.transforms.normalize import load_norm_stats
from pirig.transforms.pipeline import Pipeline
from pirig.transforms.tokenizer import BuiltinTokenizer
from tests.datasets.kinova_recordings import data_set_of, write_recording

HORIZON, RELATIVE = 4, (7, -1)


@dataclasses.dataclass(frozen=True)
class Shape:
    """Of a model, as far as the transforms ask."""

    pi05: bool = True
    action_dim: int = 8
    action_horizon: int = HORIZON


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(config with relative actions, the same without, data set)"""
    top = tmp_path_factory.mktemp("relative")
    folder = write_recording(top / "mugs")
    words = ["task=kinova", "size=tiny", "size.image_px=32", "horizon.steps=4", "eval.execute=4"]
    words += [f"demos.path={folder}", f"run.root={top}"]
    plain = compose(words)
    return compose([*words, "control.relative_to_state=[7,-1]"]), plain, Dataset(data_set_of(plain))


def pipeline_of(config, dataset):
    norm_stats = load_norm_stats(stats.make(config, places_of(config)))
    counts = tuple(config.control.relative_to_state)
    return Pipeline(dataset.contract, Shape(), "quantile", True, norm_stats, BuiltinTokenizer(200), counts)


def test_the_data_set_is_shared_and_each_kind_has_statistics_of_its_own(made):
    relative, plain, dataset = made
    assert places_of(relative).contract.hash == places_of(plain).contract.hash == dataset.contract.hash
    files = [places_of(config).norm_stats for config in (plain, relative)]
    assert [file.name for file in files] == ["norm_stats.json", "norm_stats-h4-relative_7_-1.json"]
    assert not progress.has_stats(places_of(relative))
    assert [stats.make(config, places_of(config)) for config in (plain, relative)] == files
    assert progress.has_stats(places_of(relative))
    spread = {file: np.subtract(entry.q99, entry.q01) for file in files for entry in [load_norm_stats(file)["actions"]]}
    joints = slice(0, 7)
    assert (spread[files[1]][joints] < spread[files[0]][joints]).all()
    longer = dataclasses.replace(relative, horizon=dataclasses.replace(relative.horizon, steps=8))
    assert not progress.has_stats(places_of(longer))
    more = load_norm_stats(stats.make(longer, places_of(longer)))["actions"]
    assert (np.subtract(more.q99, more.q01)[joints] > spread[files[1]][joints]).all()


def test_the_gate_knows_whose_statistics_they_are(made):
    config, _, dataset = made
    relation = relation_of(config)
    assert numbers.statistics(dataset, compute(dataset, (), relation), "quantile", (), relation) == []
    assert numbers.statistics(dataset, compute(dataset, (1,), relation), "quantile", (1,), relation) == []
    for given, asked in ((compute(dataset), relation), (compute(dataset, (), relation), None)):
        (said,) = numbers.statistics(dataset, given, "quantile", (), asked)
        assert "norm stats of actions are not this data set's" in said
    other = dataclasses.replace(relation, horizon=12)
    assert numbers.statistics(dataset, compute(dataset, (), other), "quantile", (), relation)


def test_doctor_asks_a_runs_own_statistics(made):
    config, _, _ = made
    path = stats.make(config, places_of(config))
    _, own = ask.data_set(path, "quantile", config.gates, relation_of(config))
    _, other = ask.data_set(path, "quantile", config.gates)
    assert own.good and other.found["statistics"]


def test_a_checkpoint_served_without_the_state_is_refused(made):
    config, _, dataset = made
    pipeline = pipeline_of(config, dataset)
    card = card_of(pipeline, dataset)
    assert policy.transforms(pipeline, card) == []
    (said,) = policy.transforms(dataclasses.replace(pipeline, relative_to_state=()), card)
    assert said.startswith("action number") and "relative to" in said


def policy_of(pipeline, learned):
    """Gives the same differences whatever it sees."""

    def predict(images, state, noise, prompts=None):
        return pipeline.env_actions(pipeline.model_actions(learned + 0 * noise, 0 * state), state)

    return SimpleNamespace(predict=predict, pipeline=pipeline, noise_shape=(HORIZON, 8))


def test_a_policy_whose_actions_follow_the_state_only_by_the_sum_is_found_out(made):
    config, _, dataset = made
    moves = np.random.default_rng(0).normal(0, 0.1, (HORIZON, 8)).astype(np.float32)
    blind = policy_of(pipeline_of(config, dataset), moves)
    (said,) = acts(blind, looks(dataset), 1.0)
    assert "do not depend on what the policy sees" in said
    images = {role: np.zeros((dataset.frame_count, 8, 8, 3), np.uint8) for role in dataset.roles}
    shared = {"noise_shape": (HORIZON, 8), "batch_size": 8}
    loop = OpenLoop(blind.predict, dataset, images, **shared, relative_to_state=RELATIVE)
    found = loop.errors([0, 1], np.arange(dataset.frame_count), 12, inputs=True, label="test")
    assert found.without["state"] == pytest.approx(1.0, abs=1e-3)
    naive = OpenLoop(blind.predict, dataset, images, **shared)
    assert naive.errors([0, 1], np.arange(dataset.frame_count), 12, inputs=True, label="").without["state"] > 2


def test_errors_are_in_the_arms_units(made):
    config, _, dataset = made
    pipeline, off = pipeline_of(config, dataset), np.array([0.25] + [0] * 7, np.float32)
    last = np.repeat(np.cumsum(dataset.lengths) - 1, dataset.lengths)

    def predict(images, state, noise, prompts=None):
        rows = [int(np.abs(dataset.state - one).sum(axis=1).argmin()) for one in state]
        chunks = np.stack([dataset.actions[np.minimum(row + np.arange(HORIZON), last[row])] for row in rows])
        return pipeline.env_actions(pipeline.model_actions(chunks + off, state), state)

    loop = OpenLoop(predict, dataset, {}, noise_shape=(HORIZON, 8), batch_size=8, relative_to_state=RELATIVE)
    found = loop.errors([0, 1, 2], np.arange(dataset.frame_count), 20, inputs=False, label="test")
    np.testing.assert_allclose(found.policy.mean(axis=0), off, atol=1e-5)
