"""How much device memory a training needs, before it starts: exact for the state, a formula for the activations.

Activations per device, for R rows at a time, bytes b per number of the compute type, T tokens of width D and MLP width F,
N heads of size H over S keys; a layer keeps  W = T (8 D + 3 F + 4 N H) b + N T S (4 + b), the tower's what it says itself:
  with remat      every layer's input (T D b), the VLM's cache, and two W of the largest layer
  without remat   every layer's W
plus the images as float32, twice (augmentation). The step's own figure (XLA's buffers) replaces it once compiled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from pirig.config.schema import TrainConfig
from pirig.models.layers import layer_bytes
from pirig.models.layout import flatten, leaf_specs
from pirig.models.sizes import ModelConfig, TransformerConfig
from pirig.models.towers.door import Activations, tower_named
from pirig.training.flops import Shape, prefix_tokens, suffix_tokens
from pirig.training.sharding import MIN_BYTES, split_axis

GB = 1e9


@dataclass(frozen=True)
class Needs:
    """Bytes per device."""

    params: int
    optimizer: int
    ema: int
    gradients: int
    activations: int

    @property
    def total(self) -> int:
        return self.params + self.optimizer + self.ema + self.gradients + self.activations

    def table(self) -> str:
        """ "13.4 GB parameters, 26.8 GB optimizer, ..."."""
        names = {"params": "parameters", "ema": "EMA"}
        parts = (f"{value / GB:.1f} GB {names.get(name, name)}" for name, value in vars(self).items())
        return ", ".join(parts)


def estimate(
    config: ModelConfig,
    settings: TrainConfig,
    shape: Shape,
    *,
    trainable: Mapping[str, Any] | None = None,
    fsdp: int = 1,
    devices: int = 1,
    min_bytes: int = MIN_BYTES,
) -> Needs:
    """Trained leaves are float32, frozen ones bfloat16; `trainable` None: all train."""
    mask = None if trainable is None else flatten(dict(trainable))
    trained = frozen = 0
    for path, leaf in leaf_specs(config).items():
        trains = mask is None or bool(mask[path])
        size = math.prod(leaf.shape) * (4 if trains else 2)
        split = split_axis(path, leaf.shape, 4 if trains else 2, fsdp, min_bytes)
        size = size if split is None else size // fsdp
        trained, frozen = (trained + size, frozen) if trains else (trained, frozen + size)
    rows = math.ceil(settings.batch_size / (devices * settings.accumulate))
    pixels = 3 * config.image.image_px**2 * shape.cameras * math.ceil(settings.batch_size / devices)
    activations = rows * _activations(config, shape) + pixels * 4 * (2 if settings.augment else 1)
    twice = trained if settings.accumulate > 1 else 0  # the running sum beside one part's gradient
    return Needs(trained + frozen, 2 * trained, trained if settings.ema else 0, trained + twice, int(activations))


def _activations(config: ModelConfig, shape: Shape) -> float:
    """Bytes of one row."""
    item, vlm = jnp.dtype(config.compute_dtype).itemsize, config.vlm
    prefix, suffix = prefix_tokens(config, shape), suffix_tokens(config, shape)
    image = tower_named(config.tower).activations(config.image, item)
    parts = (
        Activations(*(shape.cameras * size for size in (image.kept, image.inputs, image.largest))),
        _stack(vlm, prefix, prefix, item),
        _stack(config.expert, suffix, prefix + suffix, item),
    )
    if not config.remat:
        return sum(part.kept for part in parts)
    cache = 2 * 2 * vlm.depth * vlm.num_kv_heads * vlm.head_dim * prefix * item  # and its gradient
    return sum(part.inputs for part in parts) + cache + 2 * max(part.largest for part in parts)


def _stack(stack: TransformerConfig, tokens: int, keys: int, item: int) -> Activations:
    width, heads = stack.width, stack.num_heads
    layer = layer_bytes(tokens, width, stack.mlp_dim, heads * stack.head_dim, heads, keys, item)
    return Activations(layer * stack.depth, tokens * width * stack.depth * item, layer)


def compiled_bytes(compiled: Any) -> int | None:
    """What a compiled step takes on a device by XLA's own account; None where the backend says nothing."""
    try:
        account = compiled.memory_analysis()
    except (NotImplementedError, RuntimeError):  # some backends have no such account
        return None
    if account is None:
        return None
    inputs, outputs = account.argument_size_in_bytes, account.output_size_in_bytes
    return int(inputs + outputs - account.alias_size_in_bytes + account.temp_size_in_bytes)


def device_limit(settings: TrainConfig) -> int | None:
    """Bytes that a device may use: train.memory_limit_gb, else what the device reports, else None."""
    if settings.memory_limit_gb:
        return int(settings.memory_limit_gb * GB)
    statistics = jax.local_devices()[0].memory_stats() or {}
    return statistics.get("bytes_limit")


def require_fits(needed: int, limit: int | None, remedies: Mapping[str, int]) -> None:
    """Raises ValueError where `needed` bytes per device are over `limit`, naming the remedies that would fit.

    `remedies`: a setting, such as "fsdp=4", and the bytes per device with it.
    """
    if limit is None or needed <= limit:
        return
    fitting = [name for name, size in remedies.items() if size <= limit]
    advice = f"use {' or '.join(fitting)}" if fitting else "lower train.batch_size, or use larger or more devices"
    raise ValueError(f"this training needs {needed / GB:.0f} GB per device, has {limit / GB:.0f}: {advice}")
