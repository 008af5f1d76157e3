"""What a frozen policy foresees at every frame of a data set, once: kept beside the data set, an episode a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from pirig.datasets.lerobot.read import Dataset
from pirig.files.atomic import replacing
from pirig.files.identity import digest_of, digest_of_arrays
from pirig.files.progress import Progress
from pirig.models.critic.network import clipped
from pirig.policies.foresight import Foreseen, Foresight

CODE = 1  # changes where the same frames would give other numbers


@dataclass(frozen=True)
class Draws:
    """`policy`: its digest. `count` chunks at each frame, their noise by `seed`, of which `h` steps are kept."""

    policy: str
    count: int
    h: int
    seed: int
    flow_steps: int

    @property
    def digest(self) -> str:
        return digest_of([CODE, self.policy, self.count, self.h, self.seed, self.flow_steps])[:8]


def noise_at(
    draws: Draws, scene: int, frame: int, shape: tuple[int, int]
) -> Float32[np.ndarray, "draws horizon padded"]:
    """Of the chunks that are foreseen at one frame."""
    return np.random.default_rng([draws.seed, scene, frame]).standard_normal((draws.count, *shape), np.float32)


def foreseen(dataset: Dataset, episodes: Sequence[int], foresight: Foresight, draws: Draws) -> Iterator[Foreseen]:
    """Of each episode in order: features [T, F], normalised state [T, S], and chunks [T, draws, h, action_dim], clipped.

    What is there from an earlier call, killed or not, is not computed again.
    """
    folder = dataset.folder.parent / f"foreseen-{draws.digest}"
    with Progress("what the policy foresees", len(episodes)) as progress:
        for episode in episodes:
            file = _file(folder, dataset, episode)
            if not file.is_file():
                folder.mkdir(exist_ok=True)
                with replacing(file) as opened:
                    np.savez(opened, **_of_episode(dataset, episode, foresight, draws)._asdict())
            with np.load(file) as arrays:
                yield Foreseen(**{name: arrays[name] for name in Foreseen._fields})
            progress.advance()


def _file(folder: Path, dataset: Dataset, episode: int) -> Path:
    """By its numbers: two data sets beside one another may share episodes."""
    rows = dataset.episode_rows(episode)
    numbers = {"state": dataset.state[rows], "actions": dataset.actions[rows]}
    return folder / f"{dataset.seeds[episode]}-{digest_of_arrays(numbers)[:8]}.npz"


def _of_episode(dataset: Dataset, episode: int, foresight: Foresight, draws: Draws) -> Foreseen:
    rows, shape = dataset.episode_rows(episode), foresight.policy.noise_shape
    scene, numbers = dataset.seeds[episode], range(rows.start, rows.stop)
    images = {role: np.stack([dataset.image(role, number) for number in numbers]) for role in dataset.roles}
    noise = np.stack([noise_at(draws, scene, frame, shape) for frame in range(len(numbers))])
    seen = foresight(images, dataset.state[rows], noise)
    width = dataset.contract.action_dim
    return seen._replace(chunks=clipped(seen.chunks[:, :, : draws.h, :width]))
