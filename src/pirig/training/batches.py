"""Batches by index: everything that costs time is prepared once, a batch is a gather, the next one waits in a thread.

The order is a pure function of the seed: position p of the endless stream is entry p % N of epoch p // N's
permutation. So a position is all that a resumed run needs.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pirig.datasets.joined import prompts_of, sources_of, tasks_of
from pirig.files.progress import Progress
from pirig.training.idle import idle_frames
from pirig.training.order import Shares
from pirig.training.sample_weights import load as load_weights
from pirig.training.state_noise import StateNoise, state_noise

if TYPE_CHECKING:
    from pirig.config.schema import TrainConfig
    from pirig.datasets.lerobot.read import Dataset
    from pirig.training.scene_rows import SceneRows
    from pirig.transforms.pipeline import Pipeline

PREPARE_ROWS = 2048
MOST_OFTEN = 4  # times a demo's frame is a correction's drawn, at most: more, and a few are learned by heart


@dataclass(frozen=True)
class BatchSettings:
    """What the order and the noise of batches depend on; keys of the same names in `train.*` explain them."""

    batch_size: int
    seed: int
    state_noise: float = 0.0
    state_noise_share: float = 1.0
    state_noise_on: tuple[str, ...] = ()
    corrective_noise_m: float = 0.0
    sample_weights: str = ""
    idle_steps: int = 0

    @classmethod
    def of(cls, settings: TrainConfig) -> BatchSettings:
        return cls(
            batch_size=settings.batch_size,
            seed=settings.seed,
            state_noise=settings.state_noise,
            state_noise_share=settings.state_noise_share,
            state_noise_on=tuple(settings.state_noise_on),
            corrective_noise_m=settings.corrective_noise_m,
            sample_weights=settings.sample_weights,
            idle_steps=settings.idle_steps,
        )


@dataclass(frozen=True)
class ScenesBeside:
    """Labelled scenes [count] beside every batch, drawn from its position alone: auxiliary losses see them, no policy does."""

    scenes: SceneRows
    count: int

    def batch(self, seed: int, position: int, part: tuple[int, int]) -> dict[str, Any]:
        """`part` (i, n): the i-th of n equal parts, that of one process."""
        number, of = part
        drawn = self.scenes.draw(self.count, seed, position)
        images, labels = self.scenes.gather(drawn[number * self.count // of : (number + 1) * self.count // of])
        return {"scenes": {"images": images, "labels": labels}}


class Batches:
    """Batches of (observation, action chunk). `batch(position)` covers positions position .. position + batch_size - 1.

    images {role: u8 [N, px, px, 3]} (memory-mapped is fine), state [N, J], tokens i32 [N, L], token_mask bool [N, L],
    actions [N, J] (normalised, padded), lengths: frames per episode, in order, summing to N. A chunk that runs over
    the end of its episode repeats the last action. Columns of tokens that no frame uses are dropped.
    `starts` [N, J]: of actions relative to the state, what is taken from every step of the chunk at that frame (None:
    nothing). `noise` is for `batch`; `gather` gives the frames as they are. `held_out`: numbers of frames that no batch
    holds; `idle`: likewise, and no chunk holds their actions either. `rows`: the part of every batch that this process
    loads. `labels` {name: f32 [N, k]}: privileged numbers that an auxiliary loss looks at; a batch has them beside what the
    model is fed. `weights` f32 [N]: how much each frame counts in the flow loss; None: all alike. `order`: places of the
    endless stream -> frame numbers, in place of a permutation of all frames per epoch. `scenes`: labelled ones beside every
    batch.
    """

    def __init__(
        self,
        images: Mapping[str, np.ndarray],
        state: np.ndarray,
        tokens: np.ndarray,
        token_mask: np.ndarray,
        actions: np.ndarray,
        lengths: np.ndarray | list[int],
        *,
        horizon: int,
        batch_size: int,
        seed: int,
        starts: np.ndarray | None = None,
        noise: StateNoise | None = None,
        held_out: np.ndarray | None = None,
        idle: np.ndarray | None = None,
        rows: slice | None = None,
        labels: Mapping[str, np.ndarray] | None = None,
        tasks: np.ndarray | None = None,
        weights: np.ndarray | None = None,
        order: Callable[[np.ndarray], np.ndarray] | None = None,
        scenes: ScenesBeside | None = None,
    ):
        self.labels, self.weights = dict(labels or {}), weights
        self.images, self.state, self.actions, self.starts = dict(images), state, actions, starts
        used = int(np.flatnonzero(token_mask.any(axis=0)).max(initial=0)) + 1
        self.tokens, self.token_mask = tokens[:, :used], token_mask[:, :used]
        self.horizon, self.batch_size, self.seed, self.noise = horizon, batch_size, seed, noise
        self.frame_count, self.rows = len(actions), rows or slice(None)
        every = np.arange(len(actions))
        waits = every[:0] if idle is None else idle
        self.used = np.setdiff1d(every, np.union1d(waits, [] if held_out is None else held_out))
        self.order, self.scenes = order, scenes
        self._check(np.asarray(lengths), tasks)
        self.last_frame = np.repeat(np.cumsum(lengths) - 1, lengths)
        self._kept = np.setdiff1d(every, waits)
        self._order = lru_cache(maxsize=2)(self._permutation)

    def _check(self, lengths: np.ndarray, tasks: np.ndarray | None) -> None:
        rows = {"state": len(self.state), "tokens": len(self.tokens), "sum of episode lengths": int(lengths.sum())}
        rows.update({f"images of {role}": len(frames) for role, frames in self.images.items()})
        rows.update({f"labels.{name}": len(values) for name, values in self.labels.items()})
        wrong = [f"{name}: {count}" for name, count in rows.items() if count != self.frame_count]
        if wrong:
            raise ValueError(
                f"the data set has {self.frame_count} actions but {', '.join(wrong)}; "
                "convert the demos again and remove its frame cache"
            )
        labels = ((f"labels.{name}", values) for name, values in self.labels.items())
        for name, values in (("actions", self.actions), ("state", self.state), *labels):
            lacking = _lacking(values, tasks) if name.startswith("labels.") and tasks is not None else False
            bad = np.flatnonzero(~np.isfinite(values).all(axis=1) & ~np.array(lacking))
            if len(bad):
                raise ValueError(
                    f"{name} of frame {bad[0]} (and {len(bad) - 1} more) are not finite; repair the data set"
                )

    def _permutation(self, epoch: int) -> np.ndarray:
        return self.used[np.random.default_rng([self.seed, epoch]).permutation(len(self.used))]

    def indices(self, position: int) -> np.ndarray:
        """Frame numbers [batch_size] of the batch that starts at `position` of the endless stream."""
        places = np.arange(position, position + self.batch_size)
        if self.order is not None:
            return self.order(places)
        epochs, offsets = np.divmod(places, len(self.used))
        return np.array([self._order(int(e))[o] for e, o in zip(epochs, offsets, strict=True)])

    def batch(self, position: int) -> dict[str, Any]:
        frames = self.indices(position)
        batch = self.gather(frames[self.rows])
        if self.noise:
            batch |= self.noise.batch(frames, self.chunk(frames)[0], self.seed, position, self.rows)
        return batch | self.scenes.batch(self.seed, position, self._part()) if self.scenes else batch

    def _part(self) -> tuple[int, int]:
        """Which of how many equal parts of a batch this process loads."""
        first, end, _ = self.rows.indices(self.batch_size)
        return first // (end - first), self.batch_size // (end - first)

    def gather(self, frames: np.ndarray) -> dict[str, Any]:
        """The batch of these frame numbers [B]; images u8 [B, px, px, 3], actions f32 [B, horizon, J]."""
        chunk, _ = self.chunk(frames)
        return {
            "images": {role: np.asarray(images[frames]) for role, images in self.images.items()},
            "image_masks": {role: np.ones(len(frames), bool) for role in self.images},
            "state": self.state[frames],
            "tokens": self.tokens[frames],
            "token_mask": self.token_mask[frames],
            "actions": self._relative(self.actions[chunk], frames),
            **({"labels": {name: values[frames] for name, values in self.labels.items()}} if self.labels else {}),
            **({} if self.weights is None else {"weights": self.weights[frames]}),
        }

    def first_frame(self, frames: np.ndarray) -> np.ndarray:
        """Of frames [B], the first of their episodes."""
        return np.searchsorted(self.last_frame, self.last_frame[frames])

    def chunk(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of frames [B], the frames whose actions their chunks hold, in order and without idle ones, and which of these are no
        repetition of an episode's last one; [B, horizon] each."""
        first, last = (np.searchsorted(self._kept, numbers) for numbers in (frames, self.last_frame[frames]))
        places = first[:, None] + np.arange(self.horizon)
        return self._kept[np.minimum(places, last[:, None])], places <= last[:, None]

    def _relative(self, chunks: np.ndarray, frames: np.ndarray) -> np.ndarray:
        return chunks if self.starts is None else (chunks - self.starts[frames][:, None]).astype(np.float32)


def prepare(
    pipeline: Pipeline,
    dataset: Dataset,
    frames: Mapping[str, np.ndarray],
    settings: BatchSettings,
    *,
    held_out: np.ndarray | None = None,
    rows: slice | None = None,
    labels: Sequence[str] = (),
    shares: Mapping[str, float] | None = None,
    corrections_share: float = 0.0,
    scenes: ScenesBeside | None = None,
) -> Batches:
    """Batches of a data set: state, prompt tokens and actions of every frame go through the pipeline once.

    `held_out` and `rows` as in Batches; `labels`: which of the label columns the batches hold. `shares`: of a mix, by task,
    what part of the samples it is. `corrections_share`: that of the corrections, where there are any, and at most what draws
    each of their frames MOST_OFTEN times as often as one of a demo; 0: that of their frames. `scenes`: as in Batches.
    """
    prompts, tasks = prompts_of(dataset), tasks_of(dataset)

    def inputs(
        rows: slice | np.ndarray, noise: np.ndarray | None = None, off: np.ndarray | float = 0.0
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        told, named = (None if names is None else list(names[rows]) for names in (prompts, tasks))
        return pipeline.model_inputs(dataset.state[rows] + off, told, tasks=named, noise=noise)

    parts: list[tuple[np.ndarray, ...]] = []
    with Progress("prepare frames", dataset.frame_count) as progress:
        for start in range(0, dataset.frame_count, PREPARE_ROWS):
            block = slice(start, min(start + PREPARE_ROWS, dataset.frame_count))
            parts.append(inputs(block))
            progress.advance(block.stop - block.start)
    state, tokens, token_mask = (np.concatenate([part[i] for part in parts]) for i in range(3))
    actions, starts = pipeline.action_rows(dataset.actions, dataset.state, None if tasks is None else list(tasks))

    def learned(rows: np.ndarray, chunks: np.ndarray) -> np.ndarray:
        return pipeline.model_actions(chunks, dataset.state[rows], None if tasks is None else list(tasks[rows]))

    idle = _idle(dataset, settings.idle_steps)
    unused = held_out if idle is None else np.union1d(idle, [] if held_out is None else held_out).astype(np.int64)
    return Batches(
        frames,
        np.asarray(state, np.float32),
        tokens,
        token_mask,
        actions,
        dataset.lengths,
        horizon=pipeline.model_config.action_horizon,
        batch_size=settings.batch_size,
        seed=settings.seed,
        starts=starts,
        noise=state_noise(pipeline, dataset, settings, inputs, learned),
        held_out=held_out,
        idle=idle,
        rows=rows,
        labels={name: dataset.labels[name] for name in labels},
        tasks=tasks,
        weights=load_weights(Path(settings.sample_weights), dataset.actions) if settings.sample_weights else None,
        order=_order(dataset, unused, shares or {}, settings.seed, corrections_share),
        scenes=scenes,
    )


def _idle(dataset: Dataset, steps: int) -> np.ndarray | None:
    """None where they are not asked for."""
    if not steps:
        return None
    idle = idle_frames(dataset.state, dataset.lengths, steps)
    said = f"nothing moves in the {steps} steps after them (train.idle_steps)"
    print(f"{len(idle)} of {dataset.frame_count} frames are not trained on: {said}", file=sys.stderr, flush=True)
    return idle


def _lacking(values: np.ndarray, tasks: np.ndarray) -> np.ndarray:
    """Of each frame, whether it is of a task that has nothing of this label where another one has it: things of its own."""
    nothing = np.isnan(values).all(axis=1)
    without = [task for task in np.unique(tasks) if nothing[tasks == task].all()]
    return np.isin(tasks, without) & (not nothing.all())


def _order(
    dataset: Dataset, held_out: np.ndarray | None, shares: Mapping[str, float], seed: int, corrections_share: float
) -> Callable[[np.ndarray], np.ndarray] | None:
    """None where every frame counts alike. Raises ValueError where no frame of a task trains."""
    if corrections_share and len(dataset.corrections):
        first = dataset.offsets[dataset.corrections.start]
        demos = np.setdiff1d(np.arange(first), held_out if held_out is not None else [])
        corrections = np.arange(first, dataset.frame_count)
        often = MOST_OFTEN * len(corrections)
        share = min(corrections_share, often / (often + len(demos)))
        return Shares([demos, corrections], [1 - share, share], seed).frames
    if len(shares) < 2:
        return None
    source_of_frame = sources_of(dataset)
    if source_of_frame is None:  # one data set that holds several tasks
        source_of_frame = np.repeat(np.array(dataset.tasks, object), dataset.lengths)
    left = np.setdiff1d(np.arange(dataset.frame_count), held_out if held_out is not None else [])
    sources = [left[source_of_frame[left] == task] for task in shares]
    if empty := [task for task, frames in zip(shares, sources, strict=True) if not len(frames)]:
        raise ValueError(f"no episode of {', '.join(empty)} is left to train on; lower train.validation_share")
    return Shares(sources, list(shares.values()), seed).frames


class Prefetch:
    """Iterates over batches from a position on, `depth` of them gathered ahead in a thread. Use as a context."""

    def __init__(self, batches: Batches, position: int, depth: int = 2):
        self._batches, self._position = batches, position
        self._queue: queue.Queue = queue.Queue(maxsize=depth)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._fill, name="pirig-prefetch", daemon=True)

    def __enter__(self) -> Prefetch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self

    def __next__(self) -> dict[str, Any]:
        item = self._queue.get()
        if isinstance(item, BaseException):
            raise item
        return item

    def _fill(self) -> None:
        position = self._position
        while not self._stop.is_set():
            try:
                item: Any = self._batches.batch(position)
            except Exception as error:
                item = error
            while not self._stop.is_set():
                try:
                    self._queue.put(item, timeout=0.1)
                    break
                except queue.Full:
                    continue
            position += self._batches.batch_size
