"""The policy's inputs are the training batch's inputs, and its calls do not depend on their company."""

import dataclasses

import jax
import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.evaluation.drivers import PolicyDriver
from pirig.evaluation.rollouts import Request
from pirig.policies.policy import Policy
from pirig.training.batches import Batches
from pirig.transforms.images import resize_with_pad
from pirig.transforms.normalize import NormStats
from pirig.transforms.state import build_state
from pirig.transforms.tokenizer import BuiltinTokenizer


def test_inputs_equal_the_training_batch(contract, pipeline, params, observations):
    role = contract.cameras[0].role
    state_raw = build_state(contract.state, {"qpos": np.stack([shown.numbers["qpos"] for shown in observations])})
    state, tokens, mask = pipeline.model_inputs(state_raw)
    images = np.stack([resize_with_pad(shown.images[role], contract.image_px) for shown in observations])
    actions = np.zeros((4, 8), np.float32)
    batches = Batches({role: images}, state, tokens, mask, actions, [4], horizon=8, batch_size=4, seed=0)
    trained = batches.gather(np.arange(4))
    fed = Policy(params, pipeline, flow_steps=1, batch_size=4)
    fed = fed.model_inputs(*fed.raw_inputs(observations))
    np.testing.assert_array_equal(fed.images[role], trained["images"][role])
    np.testing.assert_array_equal(fed.state, trained["state"])
    used = trained["tokens"].shape[1]
    np.testing.assert_array_equal(fed.tokens[:, :used], trained["tokens"])
    np.testing.assert_array_equal(fed.token_mask[:, :used], trained["token_mask"])
    assert not fed.token_mask[:, used:].any()


def test_a_state_wider_than_the_actions_fits_pi05_and_reaches_it(pipeline, params, observations):
    """pick_cube: 8 joints and 3 numbers of the goal in a model of 8 action numbers."""
    goal = {"contract": contract_of(compose(["experiment=quickstart", "task=pick_cube"]))}
    ones = np.ones(11, np.float32)
    stats = {**pipeline.stats, "state": NormStats(mean=0 * ones, std=ones, q01=-ones, q99=ones)}
    random = np.random.default_rng(0)  # pi0.5 starts with gates of zero, so that nothing reaches the actions
    trained = jax.tree.map(lambda leaf: leaf + random.normal(0, 0.1, leaf.shape).astype(np.float32), params)
    policy = Policy(
        trained,
        dataclasses.replace(pipeline, stats=stats, tokenizer=BuiltinTokenizer(128), **goal),
        flow_steps=1,
        batch_size=2,
    )
    first = observations[0]
    goals = [{"goal_pos": np.full(3, height, np.float32)} for height in (0.1, 0.4)]
    seen = [dataclasses.replace(first, numbers=first.numbers | goal) for goal in goals]
    noise = np.ones((2, *policy.noise_shape), np.float32)
    low, high = policy.infer(seen, noise)
    assert low.shape == (8, 7) and np.abs(low - high).max() > 0


def test_noise_moves_the_states_tokens_and_no_other(pipeline):
    state_raw = np.zeros((1, 8), np.float32)
    plain, noisy = (
        pipeline.model_inputs(state_raw),
        pipeline.model_inputs(state_raw, noise=np.full((1, 8), 0.1, np.float32)),
    )
    moved = (noisy[1] - plain[1])[0][plain[2][0]]
    np.testing.assert_array_equal(moved[-8:], 13)  # 0.1 of a range of 2 in 256 bins is 12.8
    assert not moved[:-8].any()
    np.testing.assert_allclose(noisy[0][0, :8] - plain[0][0, :8], 0.1, atol=1e-6)


def test_a_row_does_not_depend_on_its_batch(pipeline, params, observations):
    policy = Policy(params, pipeline, flow_steps=3, batch_size=4)
    noise = np.random.default_rng(1).standard_normal((4, *policy.noise_shape)).astype(np.float32)
    together = policy.infer(observations, noise)
    for row in range(4):
        alone = policy.infer([observations[row]], noise[row : row + 1])
        np.testing.assert_array_equal(alone[0], together[row])


def test_the_state_is_added_back_to_relative_actions(pipeline, params, observations):
    policy = Policy(params, pipeline, flow_steps=1, batch_size=4)
    noise = np.random.default_rng(2).standard_normal((3, *policy.noise_shape)).astype(np.float32)
    learned = policy.infer(observations[:3], noise)
    policy.pipeline = dataclasses.replace(pipeline, relative_to_state=(6, -1))
    _, state = policy.raw_inputs(observations[:3])
    expected = learned.copy()
    expected[..., :6] += state[:, None, :6]
    np.testing.assert_allclose(policy.infer(observations[:3], noise), expected, atol=1e-6)


def test_an_absent_camera_is_named(pipeline, params, observations):
    policy = Policy(params, pipeline, flow_steps=1, batch_size=1)
    blind = dataclasses.replace(observations[0], images={"left_wrist_0_rgb": np.zeros((8, 8, 3), np.uint8)})
    with pytest.raises(ValueError, match=r"no image of base_0_rgb.*it has left_wrist_0_rgb"):
        policy.infer([blind], np.zeros((1, *policy.noise_shape), np.float32))


def test_noise_is_a_function_of_seed_and_chunk(pipeline, params, observations):
    driver = PolicyDriver(Policy(params, pipeline, flow_steps=1, batch_size=2), execute=3, noise_seed=0)
    first, second = driver.act([Request(5, 0, observations[0]), Request(5, 1, observations[0])])
    (again,) = driver.act([Request(5, 1, observations[0])])
    assert first.shape == (3, 7)
    np.testing.assert_array_equal(second, again)
    assert not np.array_equal(first, second)


def test_more_steps_than_the_chunk_holds_are_refused(pipeline, params):
    with pytest.raises(ValueError, match=r"eval\.execute=9: the policy predicts 8 steps"):
        PolicyDriver(Policy(params, pipeline, flow_steps=1, batch_size=2), execute=9, noise_seed=0)
