"""Open-loop action error: the checkpoint's chunks against the demos' on recorded frames, beside two references."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pirig.datasets.joined import prompts_of, tasks_of
from pirig.datasets.lerobot.read import Dataset
from pirig.files.progress import Progress
from pirig.policies.policy import Policy
from pirig.transforms.relative import absolute, mask_of, relative

Images = Mapping[str, np.ndarray]
Predict = Callable[..., np.ndarray]  # policies.policy.Policy.predict
TINY = 1e-6
MIN_SCALE = 1e-3  # an action number whose standard deviation is below it never varies
SEED = 20261  # of the policy's noise and of the frames that are swapped in


@dataclass(frozen=True)
class Errors:
    """Mean |difference| from the demonstrated actions on the same frames, f64 [chunk steps, action_dim], in the
    simulator's units: the policy's, of always predicting the mean action, of repeating the last action.

    `scale` [action_dim]: standard deviation of the demonstrated actions; numbers that never vary have 0.
    `without`: the policy's error over its own when an input is taken from another frame (1: it does not look at it).
    """

    frames: int
    episodes: int
    policy: np.ndarray
    mean: np.ndarray
    repeat: np.ndarray
    scale: np.ndarray
    without: dict[str, float] = field(default_factory=dict)

    def relative(self, which: str = "policy", steps: slice | None = None) -> float:
        """An error as a share of the mean action's, each action number weighted by its own spread."""
        used = self.scale > MIN_SCALE
        part = steps or slice(None)
        ours = (getattr(self, which)[part][:, used] / self.scale[used]).mean()
        return float(ours / (self.mean[part][:, used] / self.scale[used]).mean())

    def relative_by_number(self) -> np.ndarray:
        """[action_dim]; NaN for numbers that never vary."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.scale > MIN_SCALE, self.policy.mean(0) / self.mean.mean(0), np.nan)


class OpenLoop:
    """`images`: what training read, u8 [N, px, px, 3] by role; `noise_shape`: of one chunk; `relative_to_state`: the
    policy's (`transforms.relative`); `tasks` [N]: each frame's, of a policy that normalises each by its own statistics."""

    def __init__(
        self,
        predict: Predict,
        dataset: Dataset,
        images: Images,
        *,
        noise_shape: tuple[int, int],
        batch_size: int,
        relative_to_state: Sequence[int] = (),
        tasks: np.ndarray | None = None,
    ):
        self.predict, self.dataset, self.images = predict, dataset, images
        self.noise_shape, self.batch_size, self.tasks = noise_shape, batch_size, tasks
        self.relative_mask, self.prompts = mask_of(relative_to_state), prompts_of(dataset)
        self.last = np.repeat(np.cumsum(dataset.lengths) - 1, dataset.lengths)

    def errors(self, episodes: Sequence[int], trained: np.ndarray, count: int, *, inputs: bool, label: str) -> Errors:
        """On up to `count` frames spread over `episodes`; `trained`: the rows whose mean action is the reference.

        With `inputs`, also how much the error grows when each camera, and the state, comes from another frame.
        """
        rows = rows_of(self.dataset, episodes, count)
        demonstrated, real = self._chunks(rows)
        weight = np.maximum(real.sum(axis=0), 1)[:, None]

        def mean_error(predicted: np.ndarray) -> np.ndarray:
            return (np.abs(predicted - demonstrated) * real[..., None]).sum(axis=0) / weight

        names = [*self.images, "state"] if inputs else []
        with Progress(label, len(rows) * (1 + len(names))) as progress:
            policy = mean_error(self._predicted(rows, progress))
            actions = self.dataset.actions[trained]
            errors = Errors(
                frames=len(rows),
                episodes=len(episodes),
                policy=policy,
                mean=mean_error(actions.mean(axis=0)),
                repeat=mean_error(self.dataset.actions[rows - 1][:, None]),
                scale=actions.std(axis=0),
            )
            for name in names:
                blinded = mean_error(self._predicted(rows, progress, swapped=name))
                errors.without[name] = (_total(blinded, errors.scale) + TINY) / (_total(policy, errors.scale) + TINY)
        return errors

    def _chunks(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Demonstrated chunks [n, A, action_dim] and which of their steps are inside the episode [n, A]."""
        steps = rows[:, None] + np.arange(self.noise_shape[0])
        last = self.last[rows][:, None]
        return self.dataset.actions[np.minimum(steps, last)], steps <= last

    def _predicted(self, rows: np.ndarray, progress: Progress, swapped: str | None = None) -> np.ndarray:
        """With `swapped`, that input is another frame's: half the sample further on. Only of the model: what is relative
        to the state is added to the frame's own."""
        others = np.roll(rows, len(rows) // 2)
        chunks = []
        for start in range(0, len(rows), self.batch_size):
            part = slice(start, start + self.batch_size)
            images = {role: frames[(others if role == swapped else rows)[part]] for role, frames in self.images.items()}
            state = self.dataset.state[(others if swapped == "state" else rows)[part]]
            noise = np.stack([self._noise(int(row)) for row in rows[part]])
            told = tuple(list(names[rows[part]]) for names in (self.prompts, self.tasks) if names is not None)
            learned = relative(self.predict(images, state, noise, *told), state, self.relative_mask)
            chunks.append(absolute(learned, self.dataset.state[rows[part]], self.relative_mask))
            progress.advance(len(state))
        return np.concatenate(chunks)

    def _noise(self, row: int) -> np.ndarray:
        return np.random.default_rng([SEED, row]).standard_normal(self.noise_shape, np.float32)


def loop_of(policy: Policy, dataset: Dataset, images: Images) -> OpenLoop:
    return OpenLoop(
        policy.predict,
        dataset,
        images,
        noise_shape=policy.noise_shape,
        batch_size=policy.batch_size,
        relative_to_state=policy.pipeline.relative_to_state,
        tasks=tasks_of(dataset) if policy.pipeline.stats_of else None,
    )


def rows_of(dataset: Dataset, episodes: Sequence[int], count: int) -> np.ndarray:
    """Up to `count` frame numbers, evenly over these episodes without their first frames (no action came before)."""
    rows = np.concatenate(
        [
            np.arange(dataset.offsets[episode] + 1, dataset.offsets[episode] + dataset.lengths[episode])
            for episode in episodes
        ]
    )
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int))]


def _total(error: np.ndarray, scale: np.ndarray) -> float:
    used = scale > MIN_SCALE
    return float((error[:, used] / scale[used]).mean())
