"""A mix in training: whose frames a batch holds, and what each of them is told."""

import dataclasses

import jax
import numpy as np
import pytest

from pirig.comparison.success import SuccessRow
from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.config.places import ASSETS, places_of
from pirig.contract import ContractError
from pirig.datasets.joined import Joined, JoinedFrames, prompts_of
from pirig.datasets.lerobot.read import Dataset
from pirig.datasets.make_stats import own_norm_stats
from pirig.datasets.norm_stats import compute
from pirig.evaluation.drivers import PolicyDriver
from pirig.evaluation.measured import Measured, load, together
from pirig.evaluation.rollouts import Request
from pirig.gates import ask
from pirig.models.layout import init_params
from pirig.models.sizes import ModelConfig, TransformerConfig
from pirig.models.towers.siglip import SiglipConfig
from pirig.policies.assets import asset_writer, card_of
from pirig.policies.card import PolicyCard, differences
from pirig.policies.layouts import blank
from pirig.policies.policy import Policy, load_pipeline
from pirig.serving.batches import predictor
from pirig.serving.server import require_known_prompt
from pirig.training.batches import BatchSettings, prepare
from pirig.training.order import BLOCK, Shares
from pirig.transforms.normalize import NormStats, load_norm_stats
from pirig.transforms.pipeline import Pipeline
from pirig.transforms.tokenizer import BuiltinTokenizer

LENGTHS = {"push_cube": [9, 7], "pull_cube": [5]}


@pytest.fixture(scope="module")
def contract():
    return contract_of(compose(["experiment=smoke", "mix=push_pull"]))


@pytest.fixture(scope="module")
def dataset(contract):
    random = np.random.default_rng(0)

    def part(task):
        count = sum(LENGTHS[task])
        numbers = {"state": (count, contract.state_dim), "actions": (count, contract.action_dim)}
        arrays = {name: random.uniform(-1, 1, shape).astype(np.float32) for name, shape in numbers.items()}
        facts = {"folder": task, "lengths": LENGTHS[task], "seeds": list(range(len(LENGTHS[task]))), "labels": {}}
        facts["starts"] = [None] * len(LENGTHS[task])
        facts |= {"tasks": [], "offsets": [0, *np.cumsum(LENGTHS[task]).tolist()[:-1]]}
        read = Dataset.__new__(Dataset)  # without its files
        vars(read).update(arrays, **facts, contract=contract.of_task(task))
        return read

    return Joined(contract, {task: part(task) for task in LENGTHS})


@pytest.fixture(scope="module")
def pipeline(contract):
    stack = TransformerConfig(width=32, depth=2, mlp_dim=32, num_heads=2, num_kv_heads=1, head_dim=16)
    vision = SiglipConfig(width=32, depth=1, mlp_dim=32, num_heads=2, patch_px=32, image_px=contract.image_px)
    model = ModelConfig(True, 8, 4, 128, 512, vision, stack, stack)

    def stats(count):
        ones = np.ones(count, np.float32)
        return NormStats(0 * ones, ones, -ones, ones)

    both = {"state": stats(contract.state_dim), "actions": stats(contract.action_dim)}
    return Pipeline(contract, model, "quantile", True, both, BuiltinTokenizer(128))


def test_each_frame_is_told_its_tasks_sentence(contract, dataset, pipeline):
    assert dataset.tasks == ["push_cube", "push_cube", "pull_cube"]
    prompts = prompts_of(dataset)
    assert prompts[15] == contract.scenes[0].prompt and prompts[16] == contract.scenes[1].prompt
    frames = {"base_0_rgb": np.zeros((21, 2, 2, 3), np.uint8)}
    batches = prepare(pipeline, dataset, frames, BatchSettings(4, 0))
    for row, scene in ((0, contract.scenes[0]), (20, contract.scenes[1])):
        tokens, mask = pipeline.tokenizer.encode(
            scene.prompt, pipeline.model_inputs(dataset.state[[row]], [""])[0][0, :8]
        )
        fed = batches.gather(np.array([row]))
        np.testing.assert_array_equal(fed["tokens"][0][fed["token_mask"][0]], tokens[mask])


@pytest.fixture(scope="module")
def apart(dataset, pipeline):
    """Statistics per source; those of the two tasks differ by far."""
    stats_of = {task: compute(part) for task, part in dataset.parts.items()}
    shift = stats_of["pull_cube"]["state"]
    stats_of["pull_cube"]["state"] = NormStats(shift.mean + 3, shift.std * 2, shift.q01 + 3, shift.q99 + 5)
    return dataclasses.replace(pipeline, stats={}, stats_of=stats_of)


@pytest.mark.parametrize("counts", [(), (4, -3)])
def test_per_source_each_frame_is_fed_what_its_task_alone_would_feed(dataset, apart, counts):
    frames = {"base_0_rgb": np.zeros((21, 2, 2, 3), np.uint8)}
    both = dataclasses.replace(apart, relative_to_state=counts)
    batches = prepare(both, dataset, frames, BatchSettings(4, 0))
    first = 0
    for task, part in dataset.parts.items():
        alone = prepare(both.of_task(task), part, frames_of(part), BatchSettings(4, 0))
        rows = np.arange(part.frame_count)
        ours, theirs = batches.gather(first + rows), alone.gather(rows)
        for name in ("state", "actions"):
            np.testing.assert_array_equal(ours[name], theirs[name])
        used = min(ours["tokens"].shape[1], theirs["tokens"].shape[1])
        np.testing.assert_array_equal(ours["tokens"][:, :used], theirs["tokens"][:, :used])
        chunks, state = ours["actions"], part.state
        np.testing.assert_array_equal(
            both.env_actions(chunks, state, [task] * len(rows)), both.of_task(task).env_actions(chunks, state)
        )
        np.testing.assert_allclose(both.env_actions(chunks, state, [task] * len(rows))[:, 0], part.actions, atol=1e-5)
        first += part.frame_count


def frames_of(part):
    return {"base_0_rgb": np.zeros((part.frame_count, 2, 2, 3), np.uint8)}


def test_per_source_travels_with_the_checkpoint_and_a_request_without_a_task_is_refused(
    tmp_path, contract, dataset, apart
):
    card = card_of(apart, dataset)
    assert card.norm_stats == "per_source" and PolicyCard.from_json(card.to_json()) == card
    joint = dataclasses.replace(card, norm_stats="joint")
    assert "norm_stats" not in joint.to_json() and "norm_stats: 'per_source' != 'joint'" in differences(card, joint)
    (tmp_path / ASSETS).mkdir(parents=True)
    asset_writer(apart, card)(tmp_path / ASSETS)
    loaded = load_pipeline(tmp_path)
    state, tasks = dataset.state[[0, 20]], ["push_cube", "pull_cube"]
    np.testing.assert_array_equal(
        loaded.model_inputs(state, ["a", "b"], tasks=tasks)[0], apart.model_inputs(state, ["a", "b"], tasks=tasks)[0]
    )
    assert loaded.probe(dataset.state[0], dataset.actions[0]) == card.probe

    policy = Policy(init_params(jax.random.key(0), loaded.model_config), loaded, flow_steps=1, batch_size=2)
    size = (2, contract.image_px, contract.image_px, 3)
    images = {camera.role: np.zeros(size, np.uint8) for camera in contract.cameras}
    noise = np.zeros((2, *policy.noise_shape), np.float32)
    mixed = policy.predict(images, state, noise, tasks=tasks)
    for row, task in enumerate(tasks):
        seen = {role: pixels[[row]] for role, pixels in images.items()}
        alone = policy.of_task(task).predict(seen, state[[row]], noise[[row]])
        np.testing.assert_array_equal(mixed[row], alone[0])
        assert contract.of_task(task).prompt == policy.of_task(task).pipeline.contract.prompt
    asked = [
        dataclasses.replace(blank(contract), prompt=scene.prompt, state=state[row])
        for row, scene in enumerate(contract.scenes)
    ]
    np.testing.assert_array_equal(predictor(policy)(asked, noise), mixed)
    with pytest.raises(ValueError, match=r"must be the sentence of a task .*, found 'lift it'"):
        require_known_prompt("lift it", contract, by_task=True)

    for part in dataset.parts.values():
        part.image = lambda role, row: images[role][0] + 200
    for said in (ask._acts(policy, dataset), ask._acts(policy, None)):  # untrained, so it does not look
        assert [sentence.split(":")[0] for sentence in said] == tasks and "do not depend on what" in said[1]

    for asked in (None, ["push_cube", "stack_cube"]):
        with pytest.raises(ValueError, match=r"names (none|stack_cube): expected one of push_cube, pull_cube"):
            policy.predict(images, state, noise, ["a", "b"], asked)


def test_per_source_statistics_of_training_leave_out_each_tasks_own_held_out_episodes(tmp_path, dataset):
    config = compose(["experiment=smoke", "mix=push_pull", "mix.norm_stats=per_source", f"run.root={tmp_path}"])
    places = places_of(config)
    assert set(places.statistics) == set(LENGTHS) and places.statistics["pull_cube"].parts[-3:-1] == ("meta", "pirig")
    assert own_norm_stats(config, places, dataset, [], write=True) == places.statistics
    files = own_norm_stats(config, places, dataset, [1], write=True)
    assert files["push_cube"].parent == places.run
    stats = load_norm_stats(files["push_cube"])
    np.testing.assert_array_equal(stats["state"].mean, dataset.state[:9].astype(np.float64).mean(0))
    np.testing.assert_array_equal(
        load_norm_stats(files["pull_cube"])["actions"].mean, dataset.actions[16:].astype(np.float64).mean(0)
    )


def test_exchanged_sentences_change_the_tokens_and_nothing_else(contract, dataset, pipeline):
    state, (push, pull) = dataset.state[:2], (scene.prompt for scene in contract.scenes)
    usual, exchanged = pipeline.model_inputs(state, [push, pull]), pipeline.model_inputs(state, [pull, push])
    np.testing.assert_array_equal(usual[0], exchanged[0])
    assert (usual[1] != exchanged[1]).any(axis=1).all()
    with pytest.raises(ContractError, match="a contract of 2 tasks"):
        pipeline.model_inputs(state)
    longest = max(int(pipeline.model_inputs(dataset.state, [told] * 21)[2].sum(axis=1).max()) for told in (push, pull))
    assert pipeline.prompt_length() >= longest


def test_state_noise_keeps_each_frames_sentence(dataset, pipeline):
    frames = {"base_0_rgb": np.zeros((21, 2, 2, 3), np.uint8)}
    plain = prepare(pipeline, dataset, frames, BatchSettings(8, 0))
    noisy = prepare(pipeline, dataset, frames, BatchSettings(8, 0, state_noise=1e-9))
    calm, shaken = plain.batch(0), noisy.batch(0)
    used = min(calm["tokens"].shape[1], shaken["tokens"].shape[1])
    np.testing.assert_array_equal(calm["tokens"][:, :used], shaken["tokens"][:, :used])


def test_every_block_of_the_stream_holds_the_shares_and_every_epoch_all_frames(dataset, pipeline):
    frames = {"base_0_rgb": np.zeros((21, 2, 2, 3), np.uint8)}
    batches = prepare(pipeline, dataset, frames, BatchSettings(BLOCK, 3), shares={"push_cube": 0.25, "pull_cube": 0.75})
    for block in range(3):
        numbers = batches.indices(block * BLOCK)
        assert (numbers < 16).sum() == BLOCK // 4
    order = Shares([np.arange(16), np.arange(16, 21)], [0.25, 0.75], 3)
    np.testing.assert_array_equal(order.frames(np.arange(2 * BLOCK, 3 * BLOCK)), numbers)
    pulled = np.concatenate([batches.indices(block * BLOCK) for block in range(2)])
    pulled = pulled[pulled >= 16][: 5 * 20].reshape(20, 5)
    np.testing.assert_array_equal(np.sort(pulled, axis=1), np.tile(np.arange(16, 21), (20, 1)))
    with pytest.raises(ValueError, match="no episode of pull_cube is left to train on"):
        prepare(
            pipeline, dataset, frames, BatchSettings(4, 0), held_out=np.arange(16, 21),
            shares={"push_cube": 0.5, "pull_cube": 0.5},
        )  # fmt: skip


def test_frames_of_several_caches_are_read_by_their_numbers():
    parts = [np.arange(3 * 4).reshape(3, 2, 2), 100 + np.arange(2 * 4).reshape(2, 2, 2)]
    frames, whole = JoinedFrames(parts), np.concatenate(parts)
    numbers = np.array([4, 0, 3, 3, 2])
    np.testing.assert_array_equal(frames[numbers], whole[numbers])
    np.testing.assert_array_equal(frames[1:4], whole[1:4])
    np.testing.assert_array_equal(frames[3], whole[3])
    assert len(frames) == 5 and frames.shape == whole.shape


def test_the_card_tells_the_tasks_demos_apart(dataset, pipeline):
    card = card_of(pipeline, dataset, [1, 2])
    assert PolicyCard.from_json(card.to_json()) == card and card.demo_tasks[2] == "pull_cube"
    push, pull = card.of_task("push_cube"), card.of_task("pull_cube")
    assert (push.demo_lengths, push.demo_seeds, push.held_out_episodes) == ((9, 7), (0, 1), (1,))
    assert (pull.demo_lengths, pull.demo_seeds, pull.held_out_episodes) == ((5,), (0,), (0,))


def test_a_part_of_another_contract_is_refused(contract, dataset):
    swapped = {"push_cube": dataset.parts["pull_cube"], "pull_cube": dataset.parts["push_cube"]}
    with pytest.raises(ContractError, match=r"task push_cube of this run and pull_cube disagree:\n  env_id"):
        Joined(contract, swapped)


def test_each_request_is_answered_with_its_scenes_sentence():
    told = []

    class Fake:
        horizon, noise_shape, batch_size = 4, (4, 8), 2

        def infer(self, observations, noise, prompts):
            told.append(prompts)
            return np.zeros((len(noise), 4, 7))

    driver = PolicyDriver(Fake(), execute=2, noise_seed=0)
    driver.act([Request(1, 0, {}, "push it"), Request(1, 0, {}, "pull it")])
    driver.act([Request(1, 0, {})])
    assert told == [["push it", "pull it"], None]


def test_rates_are_per_task_and_together(tmp_path):
    def rows(k, n):
        return Measured({name: SuccessRow(k, n, 0.0, 1.0, k, mean_steps=10.0 * n) for name in ("policy", "oracle")})

    measured = together({"push_cube": rows(3, 4), "pull_cube": rows(0, 2)})
    assert (measured.rates["policy"].k, measured.rates["policy"].n) == (3, 6)
    assert measured.rates["policy"].low == pytest.approx(0.1876, abs=1e-3)
    assert measured.rates["policy"].mean_steps == pytest.approx((40 * 4 + 20 * 2) / 6)
    measured.save(tmp_path)
    assert load(tmp_path) == measured and load(tmp_path).tasks["pull_cube"]["policy"].n == 2
    assert any("pull_cube" in line and "0/2" in line for line in measured.lines())
