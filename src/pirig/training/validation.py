"""What the policy does on episodes that it never trained on: loss, and how far its actions are from the demos'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from pirig.config.schema import TrainConfig
from pirig.datasets.joined import Joined
from pirig.datasets.lerobot.read import Dataset
from pirig.models.bits import as_bits
from pirig.training.batches import Batches
from pirig.training.losses import Losses
from pirig.training.optimizer import Tree
from pirig.training.sharding import Placement
from pirig.training.step import Batch, inputs_of
from pirig.transforms.images import unit_range

if TYPE_CHECKING:
    from pirig.transforms.pipeline import Pipeline

FLOW_STEPS = 10
AT_REST_M = 0.01  # a thing that is nearer than this to where its episode began has not been moved
POSITION, AT_REST = "_position_m", "_at_rest_mm"  # how the names of labels, and of numbers, end
KEY = 20251  # validation's own noise: the same at every step and in every run


def held_out_episodes(episode_count: int, share: float, seed: int) -> list[int]:
    """Which episodes are held out, ascending: `share` of them, at least one, drawn by the seed; [] for share 0.

    Raises ValueError where none would be left to train on.
    """
    if share == 0:
        return []
    count = max(1, round(share * episode_count))
    if not 0 < share < 1 or count >= episode_count:
        raise ValueError(
            f"train.validation_share={share} of {episode_count} episodes leaves none to train on; "
            "choose 0 (none held out) or a share such as 0.05, or more demos"
        )
    return sorted(int(episode) for episode in np.random.default_rng([seed, KEY]).permutation(episode_count)[:count])


def held_out_of(dataset: Dataset, settings: TrainConfig) -> list[int]:
    """Those of a data set; of a mix that share of each of its data sets, so that each is measured and trained on."""
    parts = dataset.parts.values() if isinstance(dataset, Joined) else [dataset]
    held_out, first = list[int](), 0
    for part in parts:
        own = held_out_episodes(part.corrections.start, settings.validation_share, settings.seed)
        held_out += [first + episode for episode in own]
        first += part.episode_count
    return held_out


def frames_of(episodes: Sequence[int], lengths: Sequence[int]) -> np.ndarray:
    """The frame numbers of these episodes, ascending."""
    starts = np.concatenate([[0], np.cumsum(lengths)])
    parts = [np.arange(starts[episode], starts[episode + 1]) for episode in sorted(episodes)]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


class Validation:
    """`measure(params, heads)` on up to settings.validation_frames frames spread evenly over the held-out episodes.

    `actions_raw` f32 [N, action_dim], `state_raw` f32 [N, state_dim]: the data set's, in the simulator's units. `tasks` [N]:
    of a mix, each frame's; `sources` [N]: likewise the data set that it is of.
    """

    def __init__(
        self,
        batches: Batches,
        pipeline: Pipeline,
        actions_raw: np.ndarray,
        state_raw: np.ndarray,
        frames: np.ndarray,
        settings: TrainConfig,
        losses: Losses,
        placement: Placement | None = None,
        tasks: np.ndarray | None = None,
        sources: np.ndarray | None = None,
    ):
        self.batches, self.pipeline, self.placement = batches, pipeline, placement
        self.actions_raw, self.state_raw, self.tasks = actions_raw, state_raw, tasks
        count = min(settings.validation_frames, len(frames))
        self.frames = frames[np.linspace(0, len(frames) - 1, count).round().astype(int)]
        self.sources = None if sources is None else sources[self.frames]
        options: dict[str, Any] = {} if placement is None else {"out_shardings": placement.copied}
        self.losses = list(losses.auxiliary)
        self._all = jax.jit(_make_all(losses, pipeline.model_config), **options)

    def measure(self, params: Tree, heads: Tree) -> dict[str, float]:
        """validation_loss (the flow's), validation_<name>_loss and validation_<name>_<number> of auxiliary losses; of a
        position also validation_<name>_<thing>_at_rest_mm, on frames where it is where its episode began: how far away
        it is once it is lifted, one picture hardly tells;
        action_error and action_error_<i>: mean |predicted - demonstrated| over the chunk's real steps, in the simulator's
        units (over all dims, and of dim i). Means over the frames; of a mix also validation_loss/<source> and
        action_error/<source>, of the frames of each data set alone."""
        sums: dict[str, float] = {}
        counts: dict[str, int] = {}
        losses, wrongs, reals = list[np.ndarray](), list[np.ndarray](), list[np.ndarray]()
        params = as_bits(params)
        errors, steps = np.zeros(self.pipeline.contract.action_dim), 0
        size = self.batches.batch_size
        for start in range(0, len(self.frames), size):
            frames = self.frames[start : start + size]
            padded = np.concatenate([frames, np.repeat(frames[-1:], size - len(frames))])
            key_data = jax.random.key_data(jax.random.key(KEY + start))
            measured, chunk = self._all(params, heads, self._rows(padded), key_data)
            numbers = {name: _per_frame(np.asarray(rows)[: len(frames)]) for name, rows in measured.items()}
            moved = _moved(self.batches, frames)
            for name, per_frame in {**numbers, **at_rest(numbers, self.losses, moved)}.items():
                known = per_frame if name.endswith("loss") else per_frame[np.isfinite(per_frame)]  # of what is there
                sums[name] = sums.get(name, 0.0) + float(known.sum())
                counts[name] = counts.get(name, 0) + len(known)
                losses += [per_frame] if name == "loss" else []
            if chunk is not None:
                wrong, real = self._wrong(np.asarray(chunk)[: len(frames)], frames)
                errors, steps = errors + wrong.sum(axis=0), steps + int(real.sum())
                wrongs.append(wrong)
                reals.append(real)
        means = {f"validation_{name}": total / counts[name] for name, total in sums.items() if counts[name]}
        if steps:
            mean = errors / steps
            means |= {"action_error": float(mean.mean()), **{f"action_error_{i}": float(e) for i, e in enumerate(mean)}}
        return means | self._by_source(losses, wrongs, reals)

    def _by_source(
        self, losses: list[np.ndarray], wrongs: list[np.ndarray], reals: list[np.ndarray]
    ) -> dict[str, float]:
        """Of a mix: a loss and an action error for each data set of which frames are held out; else {}."""
        means: dict[str, float] = {}
        for source in dict.fromkeys([] if self.sources is None else self.sources):
            own = self.sources == source
            means[f"validation_loss/{source}"] = float(np.concatenate(losses)[own].mean())
            if wrongs:
                total, count = np.concatenate(wrongs)[own].sum(axis=0), np.concatenate(reals)[own].sum()
                means[f"action_error/{source}"] = float((total / count).mean())
        return means

    def _rows(self, frames: np.ndarray) -> Batch:
        if self.placement is None:
            return self.batches.gather(frames)
        return self.placement.put_batch(self.batches.gather(frames[self.placement.own_rows(len(frames))]))

    def _wrong(self, chunk: np.ndarray, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """[B, D] and [B]: sum of |difference| over the steps inside each frame's episode, and how many those are."""
        steps, real = self.batches.chunk(frames)
        demonstrated = self.actions_raw[steps]
        tasks = None if self.tasks is None else list(self.tasks[frames])
        predicted = self.pipeline.env_actions(chunk, self.state_raw[frames], tasks)
        wrong = np.abs(predicted - demonstrated) * real[..., None]
        return wrong.sum(axis=1), real.sum(axis=1)


def at_rest(
    numbers: Mapping[str, np.ndarray], losses: Sequence[str], moved: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Of what auxiliary `losses` say of positions, <loss>_<thing>_position_mm [B], the numbers <loss>_<thing>_at_rest_mm: the
    same, NaN where the thing has been `moved` (bool [B] by label)."""
    pairs = [(f"{loss}_{label}m", there) for loss in losses for label, there in moved.items()]
    return {
        f"{name.removesuffix(f'{POSITION}m')}{AT_REST}": np.where(there, np.nan, numbers[name])
        for name, there in pairs
        if name in numbers
    }


def _moved(batches: Batches, frames: np.ndarray) -> dict[str, np.ndarray]:
    """By label of a position, whether its thing is elsewhere than where the frame's episode began, bool [B]."""
    first = batches.first_frame(frames)
    positions = {name: values for name, values in batches.labels.items() if name.endswith(POSITION)}
    return {name: np.linalg.norm(at[frames] - at[first], axis=1) >= AT_REST_M for name, at in positions.items()}


def _per_frame(rows: np.ndarray) -> np.ndarray:
    """[B] as it is, [B, A] its mean over A."""
    return rows if rows.ndim == 1 else rows.mean(axis=-1)


def _make_all(losses: Losses, config: Any) -> Any:
    model = losses.flow

    def measure(
        params: Tree, heads: Tree, batch: Batch, key_data: jax.Array
    ) -> tuple[dict[str, jax.Array], jax.Array | None]:
        """Per row: "loss" [B, A], the auxiliary losses' numbers [B]; where the model samples, action chunks [B, A, J]. No
        augmentation."""
        noise, flow_time = model.draw_noise_and_time(jax.random.wrap_key_data(key_data), batch["actions"].shape)
        images = {role: unit_range(image) for role, image in batch["images"].items()}
        inputs, actions = inputs_of(batch, images), batch["actions"]
        flow = model.compute_loss(params, config, inputs, actions, noise=noise, flow_time=flow_time)
        measured = {"loss": flow, **losses.measure(params, heads, config, inputs, batch.get("labels", {}))}
        if model.sample_actions is None:
            return measured, None
        return measured, model.sample_actions(params, config, inputs, noise=jnp.asarray(noise), steps=FLOW_STEPS)

    return measure
