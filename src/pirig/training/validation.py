"""What the policy does on episodes that it never trained on: loss, and how far its actions are from the demos'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from pirig.config.schema import TrainConfig
from pirig.models.flow import FlowModel
from pirig.training.augment import to_unit_range
from pirig.training.batches import Batches
from pirig.training.optimizer import Tree
from pirig.training.sharding import Placement
from pirig.training.step import Batch, inputs_of

if TYPE_CHECKING:
    from pirig.transforms.pipeline import Pipeline

FLOW_STEPS = 10
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
    return sorted(int(one) for one in np.random.default_rng([seed, KEY]).permutation(episode_count)[:count])


def frames_of(episodes: Sequence[int], lengths: Sequence[int]) -> np.ndarray:
    """The frame numbers of these episodes, ascending."""
    starts = np.concatenate([[0], np.cumsum(lengths)])
    parts = [np.arange(starts[one], starts[one + 1]) for one in sorted(episodes)]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


class Validation:
    """`measure(params)` on up to settings.validation_frames frames spread evenly over the held-out episodes.

    `actions_raw` f32 [N, action_dim], `state_raw` f32 [N, state_dim]: the data set's, in the simulator's units.
    """

    def __init__(
        self,
        batches: Batches,
        pipeline: Pipeline,
        actions_raw: np.ndarray,
        state_raw: np.ndarray,
        frames: np.ndarray,
        settings: TrainConfig,
        model: FlowModel,
        placement: Placement | None = None,
    ):
        self.batches, self.pipeline, self.placement = batches, pipeline, placement
        self.actions_raw, self.state_raw = actions_raw, state_raw
        count = min(settings.validation_frames, len(frames))
        self.frames = frames[np.linspace(0, len(frames) - 1, count).round().astype(int)]
        options: dict[str, Any] = {} if placement is None else {"out_shardings": placement.copied}
        self._both = jax.jit(_make_both(model, pipeline.model_config), **options)

    def measure(self, params: Tree) -> dict[str, float]:
        """validation_loss; action_error and action_error_<i>: mean |predicted - demonstrated| over the chunk's real
        steps, in the simulator's units (over all dims, and of dim i)."""
        loss = weight = 0.0
        errors, steps = np.zeros(self.pipeline.contract.action_dim), 0
        size = self.batches.batch_size
        for start in range(0, len(self.frames), size):
            frames = self.frames[start : start + size]
            padded = np.concatenate([frames, np.repeat(frames[-1:], size - len(frames))])
            losses, chunk = self._both(params, self._rows(padded), jax.random.key_data(jax.random.key(KEY + start)))
            loss += float(np.asarray(losses)[: len(frames)].mean(axis=-1).sum())
            weight += len(frames)
            if chunk is not None:
                wrong, real = self._wrong(np.asarray(chunk)[: len(frames)], frames)
                errors, steps = errors + wrong, steps + real
        found = {"validation_loss": loss / weight}
        if steps:
            mean = errors / steps
            found |= {"action_error": float(mean.mean()), **{f"action_error_{i}": float(e) for i, e in enumerate(mean)}}
        return found

    def _rows(self, frames: np.ndarray) -> Batch:
        if self.placement is None:
            return self.batches.gather(frames)
        return self.placement.put_batch(self.batches.gather(frames[self.placement.own_rows(len(frames))]))

    def _wrong(self, chunk: np.ndarray, frames: np.ndarray) -> tuple[np.ndarray, int]:
        """Sum of |difference| per dim over the steps inside each frame's episode, and how many those are."""
        steps = frames[:, None] + np.arange(chunk.shape[1])
        last = self.batches.last_frame[frames][:, None]
        demonstrated = self.actions_raw[np.minimum(steps, last)]
        real = steps <= last
        wrong = np.abs(self.pipeline.env_actions(chunk, self.state_raw[frames]) - demonstrated) * real[..., None]
        return wrong.sum(axis=(0, 1)), int(real.sum())


def _make_both(model: FlowModel, config: Any) -> Any:
    def both(params: Tree, batch: Batch, key_data: jax.Array) -> tuple[jax.Array, jax.Array | None]:
        """Losses [B, A] and, where the model samples, action chunks [B, A, J]; no augmentation."""
        noise, flow_time = model.draw_noise_and_time(jax.random.wrap_key_data(key_data), batch["actions"].shape)
        images = {role: to_unit_range(image) for role, image in batch["images"].items()}
        inputs, actions = inputs_of(batch, images), batch["actions"]
        losses = model.compute_loss(params, config, inputs, actions, noise=noise, flow_time=flow_time)
        if model.sample_actions is None:
            return losses, None
        return losses, model.sample_actions(params, config, inputs, noise=jnp.asarray(noise), steps=FLOW_STEPS)

    return both
