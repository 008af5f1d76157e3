"""A real pi0 goes the same way: its prefix's features, its chunks judged, its expert trained by weights, at small widths."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pirig.config.load import compose
from pirig.config.schema import TrainConfig
from pirig.models import pi0
from pirig.models.critic.choose import best_of
from pirig.models.critic.learned import Critic
from pirig.models.critic.network import Scale, Seen, init_critic
from pirig.models.layout import flatten
from pirig.policies.build import model_of
from pirig.training import memory, start
from pirig.training.flops import Shape
from pirig.training.optimizer import cast_frozen
from pirig.training.step import init_state, inputs_of, make_train_step
from tests.compiling import unoptimised  # noqa: F401 - a fixture of every test here
from tests.training.test_step_golden import CONFIG, DATA, SCHEDULE, nested, recorded_batch

EXPERT = {"freeze_vision": True, "freeze_vlm": True}
SETTINGS = TrainConfig(steps=10, ema=0.0, augment=False, batch_size=2)


@pytest.fixture(scope="module")
def looked():
    """look(params) -> features [2, D] and three chunks each [3, 2, A, J]."""
    batch = jax.tree.map(jnp.asarray, recorded_batch())
    inputs, noise = inputs_of(batch, batch["images"]), jax.random.normal(jax.random.key(0), (3, 2, 4, 32))
    return jax.jit(lambda params: pi0.sample_with_features(params, CONFIG, inputs, noise=noise, steps=2))


@pytest.fixture(scope="module")
def params():
    mask = start.trainable_of(CONFIG, **EXPERT)
    tree = jax.tree.map(jnp.asarray, nested(np.load(DATA / "model_pi0_ad32_params.npz")))
    return cast_frozen(tree, mask), mask


def test_only_the_expert_and_its_own_maps_train(params):
    trained = {path for path, trains in flatten(params[1]).items() if trains}
    assert any("llm" in path for path in trained) and all("_1" in path for path in trained if "llm" in path)
    assert not any("img" in path for path in trained)
    assert {path.split("/")[0] for path in trained} == {
        "PaliGemma", "action_in_proj", "action_out_proj", "action_time_mlp_in", "action_time_mlp_out", "state_proj",
    }  # fmt: skip


@pytest.mark.slow
def test_a_weighted_step_of_the_expert_leaves_what_the_critic_sees_as_it_was(params, looked):
    tree, mask = params
    before, acted = looked(tree)
    batch = jax.tree.map(jnp.asarray, recorded_batch()) | {"weights": jnp.float32([0.5, 1.5])}
    state = init_state(jax.tree.map(jnp.copy, tree), SETTINGS, jax.random.key(11), mask)
    step = make_train_step(CONFIG, SETTINGS, SCHEDULE, trainable=mask)
    for _ in range(2):
        state, metrics = step(state, batch)
    assert bool(metrics["finite"])
    after, other = looked(state.params)
    np.testing.assert_array_equal(before, after)
    assert float(jnp.abs(acted - other).max()) > 1e-4
    frozen = {path for path, trains in flatten(mask).items() if not trains}
    leaves = [flatten(one) for one in (tree, state.params)]
    assert all(np.array_equal(leaves[0][path], leaves[1][path]) for path in frozen)


@pytest.mark.slow
def test_its_chunks_are_judged_by_their_executed_steps(params, looked):
    features, chunks = looked(params[0])
    state = jnp.zeros((2, 8))
    tree = init_critic(jax.random.key(0), features.shape[1] + 8, (2, 7), [16])
    out = jax.random.normal(jax.random.key(1), tree["out"]["kernel"].shape)
    inputs = features.shape[1] + 8
    scale = Scale(jnp.zeros(inputs), jnp.ones(inputs))
    critic = Critic({**tree, "out": {**tree["out"], "kernel": out}}, scale, (2, 7))
    own = chunks.swapaxes(0, 1)[..., :7]
    best, judged = best_of(critic, Seen(features, state), own)
    assert best.shape == (2,) and judged.shape == (2, 3)
    np.testing.assert_array_equal(best, np.asarray(judged).argmax(axis=1))
    later = own.at[:, :, 2:].add(1.0)  # behind what is executed
    np.testing.assert_array_equal(judged, best_of(critic, Seen(features, state), later)[1])


@pytest.mark.slow
def test_the_full_size_needs_less_than_with_its_tower_and_language_model(monkeypatch):
    monkeypatch.setattr(memory.jax, "default_backend", lambda: "gpu")
    needs = {}
    for name in ("full", "lora_vlm", "expert"):
        words = ("size=full", "model=pi0", "horizon=50", "weights=pi0_base", "task=stack_cube", f"finetune={name}")
        config = compose([*words, "train.batch_size=8"])
        model, asked = model_of(config, 257152), config.finetune
        frozen = {"freeze_vision": asked.freeze_vision, "freeze_vlm": asked.freeze_vlm}
        trainable = start.trainable_of(model, **frozen)
        needs[name] = memory.estimate(model, config.train, Shape(1, 16, 1), trainable=trainable).total / memory.GB
    assert needs["expert"] < 0.75 * needs["lora_vlm"] < 0.5 * needs["full"]
