"""The toy: a critic prefers the mode that succeeds more often, and whoever uses it takes that mode more often than the base.

`pytest -s -m ""` of this file prints the counts that docs/improving.md has.
"""

import shutil
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pirig.config.critic import CriticConfig, FqlConfig, HeadConfig, ResidualConfig
from pirig.files.identity import IdentityError
from pirig.improving.critic import fitting
from pirig.improving.critic.actor import advantage_weights
from pirig.improving.critic.calibration import calibrate, require_calibrated
from pirig.improving.critic.fit import fit
from pirig.improving.critic.fit_heads import fit_one_step, fit_residual
from pirig.improving.critic.learn import learn
from pirig.models.critic import heads, learned
from pirig.models.critic.choose import best_of
from pirig.models.critic.network import Seen
from tests.improving.critic import toy

SETTINGS = CriticConfig(widths=[64], steps=400, batch_size=128, candidates=2, lr=3e-3, target_ema=0.96, save_every=200)
HEAD = HeadConfig(widths=[64], steps=400, batch_size=128, lr=3e-3, save_every=400)
EPISODES = 300


def seen_of(state):
    return Seen(jnp.abs(state), state)


@pytest.fixture(scope="module")
def base():
    """A policy of both modes, what it did, and what there is to learn from."""
    params = toy.trained(*toy.frames_of(toy.demonstrated(150, 0)))
    acted = toy.rolled_out(toy.act_by(params), EPISODES, 7)
    experience, noise = toy.experience_of(acted, params)
    return SimpleNamespace(params=params, acted=acted, experience=experience, noise=noise)


@pytest.fixture(scope="module")
def critic(base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("critic") / "critic"
    found, calibration = learn(base.experience, SETTINGS, folder)
    return SimpleNamespace(it=found, calibration=calibration, folder=folder)


def share_left(who, act):
    acted = toy.rolled_out(act, EPISODES, 8)
    print(f"\n{who}: {acted.left.sum()} of {EPISODES} went left, {acted.succeeded.sum()} succeeded")
    return acted.left.mean()


def sampled(base, state, key, count):
    noise = jax.random.normal(key, (count, len(state), toy.CHUNK, 2))
    return jax.vmap(lambda one: toy.sample(base.params, state, one), out_axes=1)(noise)


def test_the_base_takes_either_side(base):
    assert 0.35 < share_left("base", toy.act_by(base.params)) < 0.65
    assert 0.35 < base.acted.left.mean() < 0.65
    assert base.acted.succeeded[base.acted.left].mean() > base.acted.succeeded[~base.acted.left].mean() + 0.4


def test_the_critic_prefers_the_better_mode_and_knows_it(base, critic):
    require_calibrated(critic.calibration, unskilled=False)
    assert critic.calibration.ranking.auc > 0.7 and critic.calibration.correlation > 0.4
    state = np.zeros((1, 2), np.float32)
    ways = np.stack([np.tile(np.float32([side * 0.7, 0.7]), (toy.CHUNK, 1)) for side in (-1, 1)])[None]
    left, right = critic.it.of_rows(seen_of(state), ways)[0]
    assert left > right + 0.15


@pytest.mark.parametrize("count", [4, pytest.param(8, marks=pytest.mark.slow)])
def test_best_of_several_takes_it(base, critic, count):
    @jax.jit
    def best(state, key):
        chunks = sampled(base, state, key, count)
        return chunks[jnp.arange(len(state)), best_of(critic.it, seen_of(state), chunks)[0]]

    assert share_left(f"best of {count}", best) > base.acted.left.mean() + 0.25


@pytest.mark.slow
def test_a_one_step_head_takes_it(base, critic, tmp_path):
    head = fit_one_step(critic.it, base.experience, base.noise, FqlConfig(alpha=1.0), HEAD, tmp_path / "head")
    kept = heads.load(tmp_path / "head")

    @jax.jit
    def act(state, key):
        return kept(seen_of(state), jax.random.normal(key, (len(state), toy.CHUNK, 2)))

    assert share_left("one-step head", act) > base.acted.left.mean() + 0.2
    state = jnp.ones((3, 2))
    np.testing.assert_allclose(act(state, jax.random.key(0)), head(seen_of(state), *_noise(3)), rtol=1e-5, atol=1e-6)


def _noise(count):
    return (jax.random.normal(jax.random.key(0), (count, toy.CHUNK, 2)),)


@pytest.mark.slow
@pytest.mark.parametrize("bound", [0.4, 0.8])
def test_a_bounded_residual_takes_it_and_stays_within_its_bound(base, critic, tmp_path, bound):
    head = fit_residual(critic.it, base.experience, ResidualConfig(bound=bound), HEAD, tmp_path / "head")
    kept = heads.load(tmp_path / "head")

    @jax.jit
    def act(state, key):
        return kept(seen_of(state), sampled(base, state, key, 1)[:, 0])

    assert share_left(f"residual, bound {bound}", act) > base.acted.left.mean() + 0.1
    state, (chunk,) = jnp.ones((3, 2)), _noise(3)
    moved = np.abs(np.asarray(head(seen_of(state), chunk) - chunk))
    assert 0 < moved.max() <= bound + 1e-6


def test_weighting_by_advantage_takes_it_and_the_same_steps_alone_do_not(base, critic):
    told = base.experience.transitions
    seen = Seen(told.features, told.state)
    of_data = critic.it.of_rows(seen, told.chunk[:, None])[:, 0]
    weights = advantage_weights(of_data, critic.it.of_rows(seen, base.experience.samples), beta=0.1, most=20.0)
    assert weights.mean() == pytest.approx(1.0, abs=1e-4) and weights.max() < 20 and weights.min() >= 0
    weighted, alike = (toy.trained(told.state, told.chunk, by, params=base.params) for by in (weights, None))
    left, left_alike = (share_left(*one) for one in (("weighted", toy.act_by(weighted)), ("alike", toy.act_by(alike))))
    assert left > max(left_alike, base.acted.left.mean()) + 0.2


def test_a_critic_on_shuffled_results_knows_nothing_and_is_refused(base, tmp_path):
    """The same rows, each episode with another's result."""
    others = np.random.default_rng(3).permutation(base.acted.succeeded)
    acted = toy.Episodes(base.acted.positions, base.acted.actions, base.acted.steps, others)
    experience, _ = toy.experience_of(acted, base.params)
    found = fit(experience, SETTINGS, tmp_path / "critic")
    calibration = calibrate(found, experience, SETTINGS.held_out, SETTINGS.seed)
    assert calibration.ranking.low <= 0.5
    with pytest.raises(ValueError, match="so it may know nothing"):
        require_calibrated(calibration, SETTINGS.unskilled)


def test_what_was_killed_goes_on_to_the_same_bits(base, critic, tmp_path, monkeypatch):
    """Killed between two states that are kept: that part is made again."""
    advance = fitting.Progress.advance

    def killed(self, count=1, note=""):
        advance(self, count, note)
        if self.done == 300:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(fitting.Progress, "advance", killed)
        fit(base.experience, SETTINGS, tmp_path / "critic")
    with np.load(tmp_path / "critic" / "state.npz") as kept:
        assert int(kept["step"]) == 200
    again = fit(base.experience, SETTINGS, tmp_path / "critic")
    jax.tree.map(np.testing.assert_array_equal, again.params, critic.it.params)
    jax.tree.map(np.testing.assert_array_equal, learned.load(critic.folder).params, critic.it.params)
    straight, parts = ((folder / "metrics.jsonl").read_text() for folder in (critic.folder, tmp_path / "critic"))
    assert straight == parts and len(parts.splitlines()) == 4


def test_another_experience_or_setting_in_the_same_folder_is_refused(base, critic, tmp_path):
    copy = shutil.copytree(critic.folder, tmp_path / "critic")
    with pytest.raises(IdentityError, match=r"alpha: 0\.1 then, 0\.2 now"):
        fit(base.experience, CriticConfig(**{**vars(SETTINGS), "alpha": 0.2}), copy)
    fewer, _ = toy.experience_of(base.acted, base.params, samples=4)
    with pytest.raises(IdentityError, match=r"experience: '[0-9a-f]{16}' then"):
        fit(fewer, SETTINGS, copy)
    few = toy.Episodes(*(part[:1] for part in vars(base.acted).values()))
    with pytest.raises(
        ValueError, match="1 of 1 episodes are the policy's own; expected two successes or two failures"
    ):
        fit(toy.experience_of(few, base.params)[0], SETTINGS, tmp_path / "few")
    with pytest.raises(ValueError, match=r"candidates=9 with 8 sampled chunks .* improve\.critic\.samples=9"):
        fit(base.experience, CriticConfig(candidates=9), copy)


def test_chunks_that_the_critic_does_not_know_are_refused(critic):
    with pytest.raises(ValueError, match="chunks of 2 steps with 2 numbers; expected at least 3 steps with 2"):
        best_of(critic.it, seen_of(jnp.zeros((1, 2))), jnp.zeros((1, 4, 2, 2)))
    with pytest.raises(ValueError, match=r"no critic there \(no critic\.npz\)"):
        learned.load(critic.folder.parent)
