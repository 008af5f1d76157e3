"""What a data set of roll-outs has beside that of demos: LeRobot's `next.*`, and of each frame which chunk was executed.

`next.reward` f32, `next.done` and `next.success` bool: after the frame's action. `chunk.step` i64: which of the chunk's actions
the frame's is. `chunk.noise` f32 [A * J]: what the chunk was sampled from, the same in all its frames; with the policy and the
frame where it looked it gives the whole chunk, what was not executed of it too.
"""

from __future__ import annotations

import numpy as np

from pirig.config.measuring import RewardsConfig
from pirig.evaluation.drivers import noise_of

REWARD, DONE, SUCCEEDED = "next.reward", "next.done", "next.success"
STEP, NOISE = "chunk.step", "chunk.noise"


def of_outcome(success: np.ndarray, rewards: RewardsConfig) -> dict[str, np.ndarray]:
    """`success` bool [T] of an episode that ends with its last step."""
    done = np.zeros(len(success), bool)
    done[-1] = True
    reward = rewards.step + np.where(success, rewards.success, 0.0)
    return {REWARD: reward.astype(np.float32), DONE: done, SUCCEEDED: success.astype(bool)}


def executed(count: int, execute: int, delay: int) -> tuple[np.ndarray, np.ndarray]:
    """Which chunk each of `count` steps was of, counted from 0, and which of its actions: i64 [count] each.

    With a delay the chunk before goes on for so many steps after each look but the first (`drivers.PolicyDriver`).
    """
    chunk, step = np.divmod(np.arange(count, dtype=np.int64), execute)
    older = (chunk > 0) & (step < delay)
    return chunk - older, np.where(older, step + execute, step)


def of_chunks(
    scene: int, count: int, *, execute: int, delay: int, noise_seed: int, noise_shape: tuple[int, int]
) -> dict[str, np.ndarray]:
    """Of an episode of `count` steps."""
    chunk, step = executed(count, execute, delay)
    noise = np.stack([noise_of(noise_seed, scene, number, noise_shape).reshape(-1) for number in range(chunk[-1] + 1)])
    return {STEP: step, NOISE: noise[chunk]}
