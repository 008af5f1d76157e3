"""Best of N: several chunks of one look, of which a critic takes one; whose critic it may be, and what a result says of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pirig.comparison.delays import UNSAID
from pirig.config.checks import ConfigError
from pirig.config.load import compose
from pirig.config.measuring import EvalConfig
from pirig.evaluation.target import result_settings
from pirig.models.critic.learned import Critic
from pirig.models.critic.network import BOUND, Scale, Seen, init_critic
from pirig.policies.best_of import BestOf, chosen_by_critic
from pirig.policies.critic_card import CriticCard
from pirig.policies.foresight import Foresight, draws_of

EXECUTE, SAMPLES = 4, 5


@pytest.fixture(scope="module")
def critic():
    inputs = 32 + 8  # the prefix's width, the state
    scale = Scale(jnp.zeros(inputs), jnp.ones(inputs))
    fresh, random = init_critic(jax.random.key(1), inputs, (EXECUTE, 7), [16]), np.random.default_rng(3)
    taught = jax.tree.map(lambda leaf: leaf + random.normal(0, 0.3, leaf.shape).astype(np.float32), fresh)
    return Critic(taught, scale, (EXECUTE, 7))


def test_the_first_draw_is_the_noise_itself_and_the_others_follow_from_it(policy, noise):
    draws = draws_of(noise, SAMPLES)
    assert draws.shape == (4, SAMPLES, *policy.noise_shape) and draws.dtype == np.float32
    np.testing.assert_array_equal(draws[:, 0], noise)
    np.testing.assert_array_equal(draws_of(noise[1:2], SAMPLES)[0], draws[1])
    assert np.abs(draws[0, 1:] - draws[1, 1:]).min() > 0 and abs(draws[:, 1:].std() - 1) < 0.1


def test_the_chunk_that_the_critic_values_most_is_taken(policy, critic, observations, noise):
    taken = BestOf(policy, critic, SAMPLES).infer(observations, noise)
    draws = draws_of(noise, SAMPLES)
    chunks = np.stack([policy.infer(observations, draws[:, one]) for one in range(SAMPLES)], axis=1)
    foreseen = Foresight(policy)(*policy.raw_inputs(observations), draws)
    seen = Seen(foreseen.features, foreseen.state)
    values = critic.of_rows(seen, np.clip(foreseen.chunks[:, :, :EXECUTE, :7], -BOUND, BOUND))
    best = values.argmax(axis=1)
    assert best.any()  # else this would show nothing
    np.testing.assert_allclose(taken, chunks[np.arange(4), best], atol=1e-4)


def test_a_critic_judges_what_is_clipped(critic):
    seen = Seen(np.ones((2, 32), np.float32), np.ones((2, 8), np.float32))
    far = 40 * np.random.default_rng(0).standard_normal((2, SAMPLES, EXECUTE, 7), np.float32)
    values = critic.of_rows(seen, far)
    np.testing.assert_array_equal(values, critic.of_rows(seen, np.clip(far, -BOUND, BOUND)))
    assert np.abs(values - critic.of_rows(seen, np.clip(far, -1, 1))).min() > 0


def test_a_row_does_not_depend_on_its_batch(policy, critic, observations, noise):
    chooses = BestOf(policy, critic, SAMPLES)
    together = chooses.infer(observations, noise)
    for row in range(4):
        np.testing.assert_array_equal(chooses.infer([observations[row]], noise[row : row + 1])[0], together[row])


def test_without_a_critic_the_policy_is_itself(policy):
    assert chosen_by_critic(policy, EvalConfig(), "digest") is policy


def asked(folder, execute=EXECUTE):
    return EvalConfig(best_of=SAMPLES, critic=str(folder), execute=execute)


def test_only_a_critic_of_this_policy_chooses(policy, critic, tmp_path):
    critic.save(tmp_path)
    with pytest.raises(ValueError, match=r"no critic there \(critic\.json\)"):
        chosen_by_critic(policy, asked(tmp_path), "digest")
    CriticCard("digest", EXECUTE).save(tmp_path)
    chooses = chosen_by_critic(policy, asked(tmp_path), "digest")
    assert isinstance(chooses, BestOf) and chooses.samples == SAMPLES and not chooses.blends and policy.blends
    with pytest.raises(ValueError, match="features of policy digest, and this one is other"):
        chosen_by_critic(policy, asked(tmp_path), "other")
    with pytest.raises(ValueError, match=r"4 steps are executed, and eval\.execute=8; give eval\.execute=4"):
        chosen_by_critic(policy, asked(tmp_path, 8), "digest")
    CriticCard("digest", EXECUTE, privileged=True).save(tmp_path)
    with pytest.raises(ValueError, match="it is privileged"):
        chosen_by_critic(policy, asked(tmp_path), "digest")


def test_a_result_says_which_critic_chose_among_how_many(critic, tmp_path):
    plain = result_settings(compose(["experiment=quickstart"]), None, 100)
    assert "best_of" not in plain and "critic" not in plain and UNSAID["best_of"] == 1 and UNSAID["critic"] == ""

    def settings(folder, count=4):
        critic.save(folder)
        CriticCard(folder.name, EXECUTE).save(folder)
        words = ["experiment=quickstart", f"eval.best_of={count}", f"eval.critic={folder}"]
        return result_settings(compose(words), None, 100)

    for name in ("one", "two", "other"):
        (tmp_path / name).mkdir()
    first = settings(tmp_path / "one")
    (tmp_path / "two" / "one").mkdir()
    assert settings(tmp_path / "two" / "one") == first  # wherever it lies
    assert first["best_of"] == 4 and str(tmp_path) not in first["critic"]
    assert settings(tmp_path / "other")["critic"] != first["critic"]
    assert settings(tmp_path / "one", 8) == first | {"best_of": 8}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["eval.best_of=4"], r"eval\.best_of=4 with eval\.critic=none"),
        (["eval.critic=x"], r"eval\.best_of=1 with eval\.critic=x"),
        (["eval.best_of=4", "eval.critic=x", "eval.rtc=true"], r"eval\.best_of=4 with eval\.rtc=true"),
        (["eval.best_of=4", "eval.critic=x", "mix=push_pull"], r"eval\.best_of=4 with mix=push_pull"),
    ],
)
def test_what_no_critic_can_choose_for_is_refused(words, message):
    with pytest.raises(ConfigError, match=message):
        compose(words)
