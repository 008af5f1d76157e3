"""Experience for a critic from data sets: demos, corrections and a policy's own episodes, all by one rule.

The reward is 1 where an episode succeeds, with its last step, and else 0. A demo and a correction succeed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from pirig.datasets.lerobot.read import Dataset
from pirig.improving.critic.experience import Experience
from pirig.improving.foreseen import Draws, foreseen, noise_at
from pirig.improving.transitions import Steps, Transitions, joined, of_episode
from pirig.policies.foresight import Foreseen, Foresight
from pirig.transforms.pipeline import Pipeline


@dataclass(frozen=True)
class Source:
    """The `episodes` of a data set that a critic learns from; whether they are the policy's `own`."""

    dataset: Dataset
    episodes: Sequence[int]
    own: bool = False


def experience(
    sources: Sequence[Source], foresight: Foresight, draws: Draws, gamma: float, *, privileged: bool
) -> Experience:
    """`privileged`: labels in place of features. Raises ValueError where a data set has none then."""
    parts, samples, succeeded = list[Transitions](), list[np.ndarray](), list[bool]()
    for source in sources:
        good = set(source.dataset.succeeded)
        seen = foreseen(source.dataset, source.episodes, foresight, draws)
        for episode, one in zip(source.episodes, seen, strict=True):
            won = episode in good
            parts.append(of_episode(_steps(source.dataset, episode, one, foresight, draws.h, won, privileged), gamma))
            samples.append(one.chunks)
            succeeded.append(won)
    rows = joined(parts)
    of_rows = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    own = np.repeat([source.own for source in sources], [len(source.episodes) for source in sources])
    return Experience(rows, np.concatenate(samples), of_rows, np.array(succeeded), own)


def noise_of(
    sources: Sequence[Source], draws: Draws, shape: tuple[int, int]
) -> Float32[np.ndarray, "rows draws horizon padded"]:
    """What the samples of `experience` were made of, row by row."""
    return np.stack(
        [
            noise_at(draws, source.dataset.seeds[episode], frame, shape)
            for source in sources
            for episode in source.episodes
            for frame in range(source.dataset.lengths[episode])
        ]
    )


def _steps(
    dataset: Dataset, episode: int, seen: Foreseen, foresight: Foresight, h: int, won: bool, privileged: bool
) -> Steps:
    rows = dataset.episode_rows(episode)
    reward = np.zeros(len(seen.state), np.float32)
    reward[-1] = float(won)
    chunks = executed(foresight.policy.pipeline, dataset.actions[rows], dataset.state[rows], h)
    return Steps(_labels(dataset, rows) if privileged else seen.features, seen.state, chunks, reward, won)


def _labels(dataset: Dataset, rows: slice) -> np.ndarray:
    if not dataset.labels:
        raise ValueError(
            f"{dataset.folder}: improve.critic.privileged=true looks at labels, and this data set has none; make it with "
            "demos.labels=true, or leave privileged out"
        )
    return np.concatenate([values[rows] for _, values in sorted(dataset.labels.items())], axis=1).astype(np.float32)


def executed(
    pipeline: Pipeline, actions: Float[np.ndarray, "steps action_dim"], state: Float[np.ndarray, "steps state"], h: int
) -> Float[np.ndarray, "steps h action_dim"]:
    """From each step on the h actions that followed, as the policy learns them; behind the end the last one."""
    places = np.minimum(np.arange(len(actions))[:, None] + np.arange(h), len(actions) - 1)
    learned = pipeline.model_actions(actions[places], state)
    return learned[..., : pipeline.contract.action_dim]
