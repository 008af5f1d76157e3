"""A mix in training: whose frames a batch holds, and what each of them is told."""

from types import SimpleNamespace

import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.contract import ContractError
from pirig.datasets.joined import Joined, JoinedFrames, prompts_of
from pirig.evaluation.drivers import PolicyDriver
from pirig.evaluation.measured import Measured, SuccessRow, load, together
from pirig.evaluation.rollouts import Request
from pirig.models.sizes import ModelConfig, TransformerConfig
from pirig.models.towers.siglip import SiglipConfig
from pirig.policies.assets import card_of
from pirig.policies.card import PolicyCard
from pirig.training.batches import BatchSettings, prepare
from pirig.training.order import BLOCK, Shares
from pirig.transforms.normalize import NormStats
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
        return SimpleNamespace(**arrays, **facts, contract=contract.of_task(task), frame_count=count)

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
