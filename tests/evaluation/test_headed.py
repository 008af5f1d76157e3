"""A head that acts in a frozen policy's place, or moves its chunks: what is executed, whose it may be, what a result says."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pirig.config.checks import ConfigError
from pirig.config.load import compose
from pirig.config.measuring import EvalConfig
from pirig.evaluation.target import result_settings
from pirig.models.critic.heads import Head, init_head
from pirig.models.critic.network import BOUND, Scale, Seen, clipped
from pirig.policies.best_of import chosen_by_critic
from pirig.policies.critic_card import CriticCard
from pirig.policies.foresight import Foresight
from pirig.policies.headed import Headed, OneStep

EXECUTE = 4


def drawn(shown, bound):
    """A head whose last layer is none of zeros."""
    inputs = 32 + 8
    scale = Scale(jnp.zeros(inputs), jnp.ones(inputs))
    fresh = init_head(jax.random.key(1), scale, shown, (EXECUTE, 7), [16])
    out = 0.3 * jax.random.normal(jax.random.key(2), fresh["out"]["kernel"].shape)
    return Head({**fresh, "out": {**fresh["out"], "kernel": out}}, scale, (EXECUTE, 7), bound)


@pytest.fixture(params=["one step", "residual"])
def head(request, policy):
    return drawn(policy.noise_shape, 0.0) if request.param == "one step" else drawn((EXECUTE, 7), 0.2)


def test_its_steps_are_executed_and_those_behind_stay_the_policys(policy, head, observations, noise):
    acted, own = (one.infer(observations, noise) for one in (Headed(policy, head), policy))
    np.testing.assert_allclose(acted[:, EXECUTE:], own[:, EXECUTE:], atol=1e-4)
    seen = Foresight(policy)(*policy.raw_inputs(observations), noise[:, None])
    chunks = np.array(seen.chunks[:, 0])
    shown = chunks[:, :EXECUTE, :7] if head.bound else noise
    chunks[:, :EXECUTE, :7] = head(Seen(seen.features, seen.state), jnp.asarray(shown))
    state = policy.raw_inputs(observations)[1]
    np.testing.assert_allclose(acted, policy.pipeline.env_actions(chunks, state, None), atol=1e-4)
    assert np.abs(acted[:, :EXECUTE] - own[:, :EXECUTE]).max() > 1e-3


def test_a_fresh_residual_is_the_policy(policy, observations, noise):
    known = drawn((EXECUTE, 7), 0.2)
    start = init_head(jax.random.key(1), known.scale, (EXECUTE, 7), known.chunk, [16])
    fresh = dataclasses.replace(known, params=start)
    acted, own = (one.infer(observations, noise) for one in (Headed(policy, fresh), policy))
    np.testing.assert_allclose(acted, own, atol=1e-4)


def test_a_residual_looks_at_clipped_numbers_as_it_learned_to(policy, observations, noise):
    head = drawn((EXECUTE, 7), 0.2)
    seen = Foresight(policy)(*policy.raw_inputs(observations), noise[:, None])
    shown = 40 * jnp.asarray(noise[:, :EXECUTE, :7])
    near, far = (head(Seen(seen.features, seen.state), chunks) - chunks for chunks in (clipped(shown), shown))
    np.testing.assert_allclose(far, near, atol=1e-4)
    assert np.abs(shown).max() > 2 * BOUND and np.abs(near).max() > 0.01


def test_a_one_step_head_acts_without_the_policys_steps(policy, observations, noise):
    head = drawn(policy.noise_shape, 0.0)
    alone, whole = OneStep(policy, head), Headed(policy, head)
    assert alone.horizon == EXECUTE and alone.noise_shape == policy.noise_shape
    ours = alone.infer(observations, noise)
    assert ours.shape == (4, EXECUTE, policy.pipeline.contract.action_dim)
    np.testing.assert_allclose(ours, whole.infer(observations, noise)[:, :EXECUTE], atol=1e-4)
    foresight = alone.foresight
    images, state = policy.raw_inputs(observations[:1])
    asked = policy.params, policy.model_inputs(images, state), noise[:1, None]
    work = [
        program.lower(*asked).compile().cost_analysis()["flops"] for program in (foresight._features, foresight._sample)
    ]
    assert work[0] < work[1] and "while" not in foresight._features.lower(*asked).compile().as_text()


def test_only_a_head_of_this_policy_acts_and_a_result_says_which(policy, head, tmp_path):
    head.save(tmp_path)
    CriticCard("digest", EXECUTE).save(tmp_path)
    asked = EvalConfig(head=str(tmp_path), execute=EXECUTE)
    acts = chosen_by_critic(policy, asked, "digest")
    assert isinstance(acts, Headed if head.bound else OneStep) and not acts.blends
    for further in ({"delay": "2"}, {"ensemble": 0.5}):  # then what is behind the head's steps is executed too
        assert isinstance(chosen_by_critic(policy, dataclasses.replace(asked, **further), "digest"), Headed)
    with pytest.raises(ValueError, match=r"eval\.head=.*: it has learned on the features of policy digest"):
        chosen_by_critic(policy, asked, "other")
    words = ["experiment=quickstart", f"eval.head={tmp_path}"]
    told = result_settings(compose(words), None, 100)
    assert len(told["head"]) == 16 and "critic" not in told
    assert "head" not in result_settings(compose(words[:1]), None, 100)
    CriticCard("other", EXECUTE).save(tmp_path)
    assert result_settings(compose(words), None, 100)["head"] != told["head"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["eval.head=x", "eval.best_of=4", "eval.critic=y"], r"eval\.best_of=4 with eval\.head=x"),
        (["eval.head=x", "eval.rtc=true"], r"eval\.head=x with eval\.rtc=true: .*leave eval\.rtc out, or eval\.head"),
    ],
)
def test_what_no_head_can_act_for_is_refused(words, message):
    with pytest.raises(ConfigError, match=message):
        compose(words)
