"""A reach in the plane with two modes: from the origin to a goal on the left or on the right, the left one open more often.

Whether a goal is open is drawn in each episode and not seen. Demos go to either side alike, and a small flow-matching policy
learns both.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pirig.improving.critic.experience import Experience
from pirig.improving.transitions import Steps, joined, of_episode
from pirig.models.critic.layers import init_mlp, mlp
from pirig.models.sampling import integrate

GOALS = np.float32([[-1.0, 1.0], [1.0, 1.0]])
OPEN = np.array([0.9, 0.2])  # how often each goal is open
STEP, NEAR = 0.1, 0.25  # of an action of length 1; how near the goal is reached
CHUNK, LIMIT, GAMMA = 3, 24, 0.95
FLOW_STEPS = 5
ROWS = 1500


@dataclass
class Episodes:
    """Of E episodes: positions [E, T + 1, 2], actions [E, T, 2], steps made [E], and success [E]."""

    positions: np.ndarray
    actions: np.ndarray
    steps: np.ndarray
    succeeded: np.ndarray

    @property
    def left(self) -> np.ndarray:
        return self.positions[np.arange(len(self.steps)), self.steps, 0] < 0


def rolled_out(act, count, seed):
    """`act(positions [E, 2], key) -> chunks [E, CHUNK, 2]`, all episodes side by side."""
    rng, key = np.random.default_rng(seed), jax.random.key(seed)
    is_open = rng.random((count, 2)) < OPEN
    positions, actions = np.zeros((count, LIMIT + 1, 2), np.float32), np.zeros((count, LIMIT, 2), np.float32)
    steps, succeeded, running = np.full(count, LIMIT), np.zeros(count, bool), np.ones(count, bool)
    for start in range(0, LIMIT, CHUNK):
        chunks = np.asarray(act(jnp.asarray(positions[:, start]), jax.random.fold_in(key, start)))
        for offset in range(CHUNK):
            step = start + offset
            actions[:, step] = chunks[:, offset]
            moved = STEP * actions[:, step] + rng.normal(0, 0.01, (count, 2))
            positions[:, step + 1] = positions[:, step] + np.where(running[:, None], moved, 0)
            apart = np.linalg.norm(positions[:, step + 1, None] - GOALS, axis=2)
            ended = running & (apart.min(axis=1) < NEAR)
            steps[ended], running = step + 1, running & ~ended
            succeeded[ended] = is_open[ended, apart[ended].argmin(axis=1)]
    return Episodes(positions, actions, steps, succeeded)


def demonstrated(count, seed):
    """Straight to a side that is drawn, with noise."""
    side = np.random.default_rng([seed, 1]).integers(2, size=count)

    def act(positions, key):
        to = GOALS[side] - positions
        way = to / jnp.maximum(jnp.linalg.norm(to, axis=1, keepdims=True), 1e-6)
        return way[:, None] + 0.1 * jax.random.normal(key, (count, CHUNK, 2))

    return rolled_out(act, count, seed)


def velocity(params, state, x, time):
    """Of chunks x [B, CHUNK, 2] at flow times [B]."""
    waves = jnp.concatenate([jnp.sin(2 * jnp.pi * time[:, None]), jnp.cos(2 * jnp.pi * time[:, None])], axis=1)
    told = jnp.concatenate([2 * state, x.reshape(len(x), -1), waves, time[:, None]], axis=1)
    return mlp(params, told).reshape(x.shape)


def sample(params, state, noise):
    """Noise [B, CHUNK, 2] -> chunks."""
    return integrate(lambda x, time: velocity(params, state, x, jnp.full(len(x), time)), noise, FLOW_STEPS)


def flow_loss(params, state, chunks, weights, key):
    """Flow matching, each row as often as its weight says."""
    of_noise, of_time = jax.random.split(key)
    noise, time = jax.random.normal(of_noise, chunks.shape), jax.random.uniform(of_time, (len(chunks),))
    noisy = time[:, None, None] * noise + (1 - time[:, None, None]) * chunks
    wrong = velocity(params, state, noisy, time) - (noise - chunks)
    return (weights * jnp.square(wrong).mean(axis=(1, 2))).mean()


def trained(state, chunks, weights=None, seed=0, params=None):
    """A policy's parameters, fresh or from these, on so many of the rows that one program serves all."""
    rows = np.random.default_rng(seed).choice(len(state), ROWS)
    weights = np.ones(len(state), np.float32) if weights is None else weights
    fresh = init_mlp(jax.random.key(seed), 2 + 2 * CHUNK + 3, [96], 2 * CHUNK)
    return _trained(fresh if params is None else params, state[rows], chunks[rows], weights[rows], jax.random.key(seed))


@jax.jit
def _trained(params, state, chunks, weights, key):
    optimiser = optax.adam(2e-3)

    def step(carry, key):
        params, kept = carry
        rows = jax.random.randint(key, (128,), 0, len(state))
        gradient = jax.grad(flow_loss)(params, state[rows], chunks[rows], weights[rows], key)
        updates, kept = optimiser.update(gradient, kept)
        return (optax.apply_updates(params, updates), kept), None

    return jax.lax.scan(step, (params, optimiser.init(params)), jax.random.split(key, 900))[0][0]


def act_by(params):
    return lambda state, key: _acted(params, state, key)


@jax.jit
def _acted(params, state, key):
    return sample(params, state, jax.random.normal(key, (len(state), CHUNK, 2)))


def rows_of(episodes, number):
    """Position and executed chunk of each step of an episode; behind its end the last action again."""
    length = episodes.steps[number]
    place = np.minimum(np.arange(length)[:, None] + np.arange(CHUNK), length - 1)
    return episodes.positions[number, :length], episodes.actions[number][place]


def frames_of(episodes):
    """Of all episodes, behind one another."""
    parts = [rows_of(episodes, number) for number in range(len(episodes.steps))]
    return tuple(np.concatenate([part[of] for part in parts]) for of in range(2))


def transitions_of(episodes, number):
    state, chunks = rows_of(episodes, number)
    reward = np.zeros(len(state), np.float32)
    reward[-1] = episodes.succeeded[number]
    return of_episode(Steps(np.abs(state), state, chunks, reward, bool(episodes.succeeded[number])), GAMMA)


def experience_of(episodes, params, samples=8, seed=0):
    """And the noise of the policy's samples."""
    parts = [transitions_of(episodes, number) for number in range(len(episodes.steps))]
    rows = joined(parts)
    noise = jax.random.normal(jax.random.key(seed), (len(rows), samples, CHUNK, 2))
    draw = jax.jit(jax.vmap(lambda noise: sample(params, jnp.asarray(rows.state), noise), 1, 1))
    number = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    drawn = np.clip(np.asarray(draw(noise)), -3, 3)
    own = np.ones(len(parts), bool)
    return Experience(rows, drawn, number, episodes.succeeded, own), np.asarray(noise)
