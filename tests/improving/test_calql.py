"""From a policy's own episodes and demos to a critic, and what is made of it: in the toy simulator, with a policy that needs no
weights and foresees what follows from its noise."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pirig.config.places import places_of
from pirig.datasets import make as data
from pirig.datasets.lerobot.read import Dataset
from pirig.demos import door as demos_door
from pirig.improving import acting
from pirig.improving.door import Policy, Round, digest_of, method_named
from pirig.improving.experienced import Source, executed, experience, noise_of
from pirig.improving.foreseen import Draws
from pirig.improving.methods import calql
from pirig.models.critic import heads, learned
from pirig.policies.critic_card import CriticCard
from pirig.policies.foresight import Foreseen
from pirig.sim import door
from pirig.training import sample_weights
from pirig.transforms.normalize import NormStats
from pirig.transforms.pipeline import Pipeline
from tests.improving.toy_policy import Goes, a_checkpoint, a_config

METHOD = method_named("calql")
SMALL = ["improve=calql", "improve.critic.steps=30", "improve.critic.samples=3", "improve.critic.candidates=2"]
WORDS = [*SMALL, "improve.critic.widths=[8]", "improve.scenes=4", "improve.critic.unskilled=true", "demos.workers=1"]
DRAWS = Draws("digest", 3, 2, 0, 10)


class Foresees:
    """Features say where the point is; chunks are the noise."""

    calls = 0

    def __init__(self, contract):
        unit = NormStats(np.full(2, 0.5), np.full(2, 2.0), np.full(2, -1.0), np.ones(2))
        state = NormStats(np.zeros(7), np.ones(7), -np.ones(7), np.ones(7))
        sizes = SimpleNamespace(action_dim=8, action_horizon=4, pi05=False)
        pipeline = Pipeline(contract, sizes, "zscore", False, {"state": state, "actions": unit}, None)
        self.policy = SimpleNamespace(noise_shape=(4, 8), pipeline=pipeline)

    def __call__(self, images, state, noise):
        Foresees.calls += 1
        (pictures,) = images.values()
        assert pictures.shape == (len(state), 16, 16, 3) and noise.shape == (len(state), 3, 4, 8)
        return Foreseen(state[:, :2].astype(np.float32), state.astype(np.float32), 4 * noise)


@pytest.fixture(scope="module", autouse=True)
def toy():
    tables = [door.IMPLEMENTATIONS, demos_door.MAKERS]
    before = [dict(table) for table in tables]
    door.register("toy", "tests.wishes.toy_simulator:Toy")
    demos_door.register("toy", "tests.wishes.toy_simulator:make_demos")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(acting, "load_policy", lambda checkpoint, **sizes: Goes())
        yield patch
    for table, old in zip(tables, before, strict=True):
        table.clear()
        table.update(old)


@pytest.fixture(scope="module")
def base(toy, tmp_path_factory):
    root = tmp_path_factory.mktemp("toy")
    config = a_config(root, *WORDS)
    places = places_of(config)
    data.make_demos(config, places)
    data.make_data_set(config, places)
    toy.setattr(calql, "Foresight", lambda policy: Foresees(places.contract))
    return Policy(config, a_checkpoint(config, root / "checkpoint" / "7"), "digest")


@pytest.fixture(scope="module")
def made(base):
    folder = base.places.run / "improve" / "round-1"
    folder.mkdir(parents=True)
    return METHOD.make(Round(1, base, folder, "r1"))


def test_a_critic_learns_and_the_policy_takes_the_best_of_its_chunks(base, made):
    assert METHOD.arm(base.config) == "best_of" and METHOD.until_level and not made.trains
    acts, (folder,) = made.config.eval, base.places.run.glob("improve/critic-*")
    assert (acts.best_of, acts.critic) == (8, str(folder))
    assert learned.load(folder).chunk == (2, 2) and CriticCard.load(folder) == CriticCard("digest", 2)
    assert (folder / "calibration.png").is_file()
    demos, rolled = Dataset(base.places.data_set), made.facts["rolled_out"]
    assert rolled == 4 and made.facts["rows"] > demos.frame_count and "roll-outs succeeded" in made.facts["said"]


def test_what_was_foreseen_is_not_computed_again_and_a_round_goes_on(base, made):
    before = Foresees.calls
    again = METHOD.make(Round(1, base, base.places.run / "improve" / "round-1", "r1"))
    assert Foresees.calls == before and again.facts["calibration"] == made.facts["calibration"]
    next(base.places.data.glob("foreseen-*/*.npz")).unlink()
    METHOD.make(Round(1, base, base.places.run / "improve" / "round-1", "r1"))
    assert Foresees.calls == before + 1


def test_the_frames_of_demos_are_weighted(base, made):
    improve = dataclasses.replace(base.config.improve, use="weighted")
    weighted = dataclasses.replace(base, config=dataclasses.replace(base.config, improve=improve))
    folder = base.places.run / "improve" / "other"
    folder.mkdir()
    child = METHOD.make(Round(1, weighted, folder, "r1"))
    assert child.trains and child.config.eval == base.config.eval
    demos = Dataset(base.places.data_set)
    weights = sample_weights.load(folder / "weights.npz", demos.actions)
    assert child.config.train.sample_weights == str(folder / "weights.npz")
    assert len(weights) == demos.frame_count and abs(weights.mean() - 1) < 1e-3 and weights.std() > 0
    assert digest_of(METHOD, base) != digest_of(METHOD, weighted)


def test_demos_and_roll_outs_give_rows_by_one_rule(base, made):
    demos = Dataset(base.places.data_set)
    own = Dataset(next(base.places.run.glob("rollouts/*/lerobot")))
    foresight = Foresees(demos.contract)
    sources = [Source(demos, [1]), Source(own, range(own.episode_count), own=True)]
    known = experience(sources, foresight, DRAWS, 0.9, privileged=False)
    rows, first = known.transitions, demos.lengths[1]
    assert known.succeeded.tolist() == [True, *(one in own.succeeded for one in range(own.episode_count))]
    assert len(rows) == first + own.frame_count and known.episode[first] == 1 and known.episode[-1] == own.episode_count
    assert known.own.tolist() == [False] + own.episode_count * [True]
    assert rows.return_to_go[first - 1] == 1 and abs(rows.return_to_go[first - 3] - 0.9**2) < 1e-6
    failed = np.flatnonzero(~known.succeeded)
    assert not rows.return_to_go[np.isin(known.episode, failed)].any()
    np.testing.assert_array_equal(rows.features[first:], own.state[:, :2])
    assert known.samples.shape == (len(rows), 3, 2, 2) and np.abs(known.samples).max() == 3
    actions = demos.actions[demos.episode_rows(1)]
    np.testing.assert_allclose(rows.chunk[0], (actions[:2] - 0.5) / (2 + 1e-6), rtol=1e-5)
    seen = experience(sources, foresight, DRAWS, 0.9, privileged=True).transitions.features
    np.testing.assert_array_equal(seen[first:], own.labels["goal_position_m"])


def test_behind_an_episodes_end_its_last_action_goes_on(base):
    pipeline = Foresees(base.places.contract).policy.pipeline
    actions = np.arange(6, dtype=np.float32).reshape(3, 2)
    learned_chunks = executed(pipeline, actions, np.zeros((3, 7), np.float32), 2)
    np.testing.assert_array_equal(learned_chunks[2, 0], learned_chunks[2, 1])
    np.testing.assert_array_equal(learned_chunks[0, 1], learned_chunks[1, 0])


@pytest.mark.parametrize(("use", "bound"), [("fql", 0.0), ("residual", 0.2)])
def test_a_head_learns_and_acts_from_now_on(base, made, use, bound):
    """What it learned from is found again: the noise of each sample, row by row."""
    head = dataclasses.replace(base.config.improve.head, steps=3, widths=[8])
    improve = dataclasses.replace(base.config.improve, use=use, head=head)
    headed = dataclasses.replace(base, config=dataclasses.replace(base.config, improve=improve))
    METHOD.require(headed)
    folder, state = base.places.run / "improve" / use, Path(made.facts["critic"]) / "state.npz"
    folder.mkdir()
    before = state.stat().st_mtime_ns
    child = METHOD.make(Round(1, headed, folder, "r1"))
    assert (
        child.facts["critic"] == made.facts["critic"] and state.stat().st_mtime_ns == before
    )  # it did not learn again
    assert not child.trains and child.config.eval.head == str(folder / "head") and child.config.eval.best_of == 1
    found = heads.load(folder / "head")
    assert found.chunk == (2, 2) and found.bound == pytest.approx(bound)
    assert CriticCard.load(folder / "head") == CriticCard("digest", 2)
    assert digest_of(METHOD, base) != digest_of(METHOD, headed)


def test_critics_that_learn_otherwise_lie_apart(base, made):
    sources = [Source(Dataset(base.places.data_set), [0, 1])]
    known = experience(sources, Foresees(base.places.contract), DRAWS, 0.9, privileged=False)

    def folder(policy=base, **settings):
        critic = dataclasses.replace(base.config.improve.critic, **settings)
        improve = dataclasses.replace(base.config.improve, critic=critic, use="weighted")
        config = dataclasses.replace(base.config, improve=improve)
        return calql.critic_folder(dataclasses.replace(policy, config=config), known)

    same = calql.critic_folder(base, known)
    assert folder() == folder(save_every=7, unskilled=False) == same != Path(made.facts["critic"])  # fewer episodes
    other = dataclasses.replace(base, digest="other")
    assert len({same, folder(alpha=0.5), folder(steps=31), folder(other)}) == 4


def test_noise_of_rows_is_what_their_samples_were_made_of(base, made):
    demos = Dataset(base.places.data_set)
    sources, foresight = [Source(demos, [0, 1])], Foresees(demos.contract)
    known = experience(sources, foresight, DRAWS, 0.9, privileged=False)
    noise = noise_of(sources, DRAWS, foresight.policy.noise_shape)
    np.testing.assert_array_equal(known.samples, np.clip(4 * noise[:, :, :2, :2], -3, 3))


def test_a_privileged_critic_cannot_act(base):
    def asked(**settings):
        improve = dataclasses.replace(base.config.improve, **settings)
        return dataclasses.replace(base, config=dataclasses.replace(base.config, improve=improve))

    METHOD.require(base)
    critic = dataclasses.replace(base.config.improve.critic, privileged=True)
    with pytest.raises(ValueError, match=r"improve\.critic\.privileged=true with improve\.use=best_of"):
        METHOD.require(asked(critic=critic))
    few = dataclasses.replace(base.config.improve.critic, demos=2)
    with pytest.raises(ValueError, match=r"improve\.critic\.demos=2 with improve\.use=weighted"):
        METHOD.require(asked(critic=few, use="weighted"))
    with pytest.raises(ValueError, match=r"privileged=true with improve\.use=fql"):
        METHOD.require(asked(critic=critic, use="fql"))
