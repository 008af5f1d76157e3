"""A round of corrections in the toy simulator: moments, planner's episodes, a data set with them behind; resumed and found."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.datasets import make, make_stats
from pirig.datasets.lerobot.read import Dataset
from pirig.datasets.norm_stats import compute
from pirig.demos import door as demos_door
from pirig.evaluation.results import EpisodeResult, ResultsFile
from pirig.evaluation.workers import WorkerPool
from pirig.files import identity
from pirig.gates import simulated
from pirig.gates.data import cheap
from pirig.improving.door import Policy, Round, digest_of
from pirig.improving.methods.corrections import METHOD
from pirig.policies.card import PolicyCard
from pirig.sim import door
from pirig.training.batches import BatchSettings, prepare
from pirig.transforms.normalize import load_norm_stats
from tests.wishes.test_simulator import ASKED
from tests.wishes.toy_simulator import GOALS_M

FIRST, STEPS = 600_000, 40
WORDS = ["improve.scenes=4", "demos.workers=1", "eval.workers=1", "horizon=4", "eval.execute=4", "demos.count=6"]


@pytest.fixture(scope="module", autouse=True)
def toy():
    """The toy simulator, whoever makes its demos and whoever solves it from a state."""
    tables = [door.IMPLEMENTATIONS, demos_door.MAKERS, demos_door.EXPERTS]
    before = [dict(table) for table in tables]
    door.register("toy", "tests.wishes.toy_simulator:Toy")
    demos_door.register("toy", "tests.wishes.toy_simulator:make_demos")
    demos_door.EXPERTS["toy"] = "tests.improving.toy_solver:ToySolver"
    yield
    for table, old in zip(tables, before, strict=True):
        table.clear()
        table.update(old)


def a_config(root):
    asked = [word for word in ASKED if not word.startswith("demos.count")]
    return compose([*asked, *WORDS, "task.solver=toy", f"run.root={root}", "run.name=one"])


def a_round(config, root, name="corrections-abc-r1", number=1):
    """The first scene succeeded; in the others the policy stood still, but in the last it went the wrong way."""
    folder = root / f"round-{number}"
    results = ResultsFile(folder / "rollouts")
    first = FIRST + (number - 1) * config.improve.scenes
    for place, scene in enumerate(range(first, first + 4)):
        actions = np.zeros((STEPS, 2), np.float32) if place < 3 else np.tile(-np.sign(GOALS_M[scene % 50]), (STEPS, 1))
        if scene not in results.done:
            won = place == 0
            results.add(EpisodeResult(scene, won, won, 9 if won else -1, STEPS, 0.1), actions)
    policy = Policy(config, root / "no-checkpoint", "digest")
    return Round(number, policy, folder, name)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One round that came to its end: root, config, what was made."""
    root = tmp_path_factory.mktemp("toy")
    config = a_config(root)
    make.make_demos(config, places_of(config))
    make.make_data_set(config, places_of(config))
    make_stats.make_norm_stats(config, places_of(config))
    return root, config, METHOD.make(a_round(config, root))


@pytest.fixture
def copied(whole, tmp_path):
    """The same in a folder of the test's own."""
    root, _, made = whole
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    run = dataclasses.replace(made.config.run, root=str(tmp_path))
    return tmp_path, a_config(tmp_path), dataclasses.replace(made, config=dataclasses.replace(made.config, run=run))


def test_a_round_makes_a_data_set_with_corrections_behind(whole):
    _, config, made = whole
    places = places_of(made.config)
    parent, dataset = Dataset(places_of(config).data_set), Dataset(places.data_set)
    count = made.facts["corrections"]
    assert made.facts["succeeded"] == 1 and count >= 1 and dataset.episode_count == parent.episode_count + count
    assert places.data_set.parent.name == f"{places_of(config).data.name}-corrections-abc-r1"
    assert dataset.seeds[: parent.episode_count] == parent.seeds and min(dataset.seeds[6:]) > FIRST
    rows = slice(0, parent.frame_count)
    np.testing.assert_array_equal(dataset.state[rows], parent.state)
    assert dataset.picture("base_0_rgb", 3) == parent.picture("base_0_rgb", 3)
    for episode in dataset.corrections:
        told = dataset.provenance["corrections"][episode - dataset.corrections.start]
        assert told["scene"] == dataset.seeds[episode] and told["round"] == 1 and told["what"].endswith("late")
        start = dataset.starts[episode]
        np.testing.assert_allclose(dataset.state[dataset.offsets[episode]][:2], start["point"], atol=1e-6)
    assert dataset.provenance["parent"]["content_sha256"] == parent.content_hash


def test_statistics_step_limits_and_held_out_episodes_are_the_demos_alone(whole):
    _, config, made = whole
    child = made.config
    parent, dataset = Dataset(places_of(config).data_set), Dataset(places_of(child).data_set)
    make_stats.make_norm_stats(child, places_of(child))
    ours, theirs = (load_norm_stats(places_of(one).norm_stats) for one in (child, config))
    for name in theirs:
        np.testing.assert_array_equal(ours[name].mean, theirs[name].mean)
        np.testing.assert_array_equal(ours[name].q99, theirs[name].q99)
    assert [
        found for gate, ask in cheap(dataset, ours, "zscore").items() if gate == "statistics" for found in ask()
    ] == []
    assert not np.allclose(compute(dataset)["state"].mean, dataset.state.mean(0))
    assert dataset.corrections.start == parent.episode_count
    lengths = tuple(dataset.lengths)
    card = PolicyCard(
        {"action_horizon": 4}, "zscore", False, "none", demo_lengths=lengths, corrections=len(dataset.corrections)
    )
    assert card.usual_lengths == tuple(parent.lengths)
    assert (
        PolicyCard.from_json(card.to_json()) == card
        and "corrections" not in PolicyCard({"action_horizon": 4}, "zscore", False, "").to_json()
    )


def test_gates_in_the_simulator_stay_silent(whole):
    dataset = Dataset(places_of(whole[2].config).data_set)
    with WorkerPool(dataset.contract, 1) as pool:
        for episode in dataset.corrections:
            assert simulated.first_frame(dataset, pool, episode) == []
        assert simulated.replay(dataset, None, pool, dataset.episode_count) == []


def test_what_is_there_is_found_and_what_a_kill_left_is_gone_on_with(copied, capsys):
    root, config, made = copied
    places = places_of(made.config)
    again = METHOD.make(a_round(config, root))
    assert "holds them already" in capsys.readouterr().out and again.facts["corrections"] == made.facts["corrections"]
    (places.demos / "manifest.json").unlink()
    shutil.rmtree(places.data_set)
    moments = root / "round-1" / "moments.json"
    moments.write_text(json.dumps(dict(list(json.loads(moments.read_text()).items())[:1])))
    third = METHOD.make(a_round(config, root))
    assert third.facts == again.facts


def test_the_data_set_is_known_by_its_parent_and_by_each_correction(copied):
    _, config, done = copied
    child = done.config
    places = places_of(child)
    made = identity.load(places.data_set / "meta/pirig/identity.json")
    assert made.made_from == {"parent": Dataset(places_of(config).data_set).content_hash[:16]}
    assert len(made.parts) == len(Dataset(places.data_set).corrections) and made.settings["made by"] == "corrections"
    make.require_current(child, places)
    file = places.demos / f"episode_{made.parts[0].partition(':')[0]}.npz"
    arrays = dict(np.load(file))
    np.savez(file, **{**arrays, "actions": arrays["actions"] * 0.5})
    with pytest.raises(identity.IdentityError, match="episode 0"):
        make.require_current(child, places)


def test_a_second_round_keeps_the_first_ones_corrections(copied):
    root, config, made = copied
    second = METHOD.make(a_round(made.config, root, "corrections-abc-r2", 2))
    dataset = Dataset(places_of(second.config).data_set)
    rounds = [told["round"] for told in dataset.provenance["corrections"]]
    assert rounds == sorted(rounds) and set(rounds) == {1, 2} and second.facts["corrections"] == rounds.count(2)
    assert places_of(second.config).data.name == f"{places_of(config).data.name}-corrections-abc-r2"
    assert dataset.corrections.start == Dataset(places_of(config).data_set).episode_count


def test_corrections_get_their_share_of_the_samples(whole):
    dataset = Dataset(places_of(whole[2].config).data_set)
    first = dataset.offsets[dataset.corrections.start]

    class Plain:
        contract = dataset.contract
        model_config = dataclasses.make_dataclass("Sizes", ["action_horizon"])(4)
        prompt_length = staticmethod(lambda: 1)
        model_inputs = staticmethod(
            lambda state, *_, **__: (state, np.ones((len(state), 1), int), np.ones((len(state), 1), bool))
        )
        action_rows = staticmethod(lambda actions, *_: (actions, None))

    def drawn(share):
        batches = prepare(Plain(), dataset, {}, BatchSettings(500, 0), held_out=np.arange(3), corrections_share=share)
        return np.concatenate([batches.indices(place) for place in (0, 500)])

    assert (drawn(0.3) >= first).mean() == 0.3 and drawn(0.3).min() >= 3
    corrections, demos = dataset.frame_count - first, first - 3
    assert abs((drawn(0.0) >= first).mean() - corrections / (corrections + demos)) < 0.05
    most = 4 * corrections / (4 * corrections + demos)
    assert 0.3 < most < 0.99 and abs((drawn(0.99) >= first).mean() - most) < 0.002


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["task.solver="], "names no solver"),
        (["mix=push_pull"], "improve=corrections is made for one task"),
        (["task.solver=solveNothing"], r"solver 'solveNothing' is none of ManiSkill's planners"),
    ],
)
def test_what_cannot_be_corrected_is_said_before_anything_starts(words, message, tmp_path):
    config = compose([*words, f"run.root={tmp_path}"])
    with pytest.raises(ValueError, match=message):
        METHOD.require(Policy(config, tmp_path, "digest"))


def test_a_simulator_that_is_not_installed_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.wishes.toy_simulator.Toy.missing", lambda self: "the toy is not installed here")
    with pytest.raises(ValueError, match="rolls the policy out, and the toy is not installed here"):
        METHOD.require(Policy(a_config(tmp_path), tmp_path, "digest"))


def test_more_rounds_are_the_same_improvement_and_other_settings_are_another(tmp_path):
    def digest(*words):
        changed = compose([*ASKED, *WORDS, *words])
        return digest_of(METHOD, Policy(changed, tmp_path, "digest"))

    assert digest() == digest("improve.rounds=3") == digest("eval.episodes=7", "eval.workers=3")
    others = [
        digest(word)
        for word in ("improve.steps=7", "eval.execute=2", "improve.corrections.share=0.1", "improve.scenes=5")
    ]
    assert len({digest(), *others}) == 5
