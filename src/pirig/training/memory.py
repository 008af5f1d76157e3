"""How much device memory a training needs, before it starts: exact for the state, a formula for the activations.

Activations per device, for R rows at a time, bytes b per number of the compute type, T tokens of width D and MLP width F,
N heads of size H over S keys; a layer keeps  W = T (8 D + 3 F + 4 N H) b + N T S (4 + b), the tower's what it says itself:
  with remat      every layer's input (T D b), the VLM's cache, and two W of the largest layer
  without remat   every layer's W
plus the images as float32, twice (augmentation). The step's own figure (XLA's buffers) replaces it once compiled.

A CPU computes bfloat16 in float32, so b is 4 there; and its step writes out two copies more of what trains (the parameters
that its loops read while they are donated, and the moments before they are divided), where a GPU's fuses them away. What is
frozen it reads in bfloat16, a layer at a time (models/bits.py). Measured beside XLA's: benchmarks/results/memory.json.

A CPU's memory also takes what a checkpoint needs while it is written beside the next step: the copy of what trains, and what
Orbax has on its way, 1.7 times the leaves that it takes at once (measured 1.6 to 1.9 on trees of 0.7 to 2.4 GB).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from pirig.config.schema import TrainConfig
from pirig.files.orbax import largest_part
from pirig.models.layers import layer_bytes
from pirig.models.layout import flatten, leaf_specs
from pirig.models.sizes import ModelConfig, TransformerConfig
from pirig.models.towers.door import Activations, tower_named
from pirig.runs import hardware
from pirig.training.flops import Shape, prefix_tokens, suffix_tokens
from pirig.training.sharding import MIN_BYTES, split_axis

GB = 1e9
CPU_COPIES = 2  # of what trains
ON_ITS_WAY = 1.7  # of what Orbax takes at once
SHOWN = 4  # remedies named
BATCH = "train.batch_size="  # the one of which only the largest that fits is named


@dataclass(frozen=True)
class Needs:
    """Bytes per device; `saving` beside the step's, where a device's memory is the machine's."""

    params: int
    optimizer: int
    ema: int
    gradients: int
    activations: int
    saving: int = 0

    @property
    def step(self) -> int:
        return self.params + self.optimizer + self.ema + self.gradients + self.activations

    @property
    def total(self) -> int:
        return self.step + self.saving

    def table(self) -> str:
        """ "13.4 GB parameters, 26.8 GB optimizer, ..."."""
        names = {"params": "parameters", "ema": "EMA", "saving": "while a checkpoint is written"}
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
    trained = frozen = largest = 0
    for path, leaf in leaf_specs(config).items():
        trains = mask is None or bool(mask[path])
        size = math.prod(leaf.shape) * (4 if trains else 2)
        largest = max(largest, size)
        split = split_axis(path, leaf.shape, 4 if trains else 2, fsdp, min_bytes)
        size = size if split is None else size // fsdp
        trained, frozen = (trained + size, frozen) if trains else (trained, frozen + size)
    on_cpu = jax.default_backend() == "cpu"
    rows = math.ceil(settings.batch_size / (devices * settings.accumulate))
    pixels = 3 * config.image.image_px**2 * shape.cameras * math.ceil(settings.batch_size / devices)
    activations = rows * _activations(config, shape, on_cpu) + pixels * 4 * (2 if settings.augment else 1)
    twice = trained if settings.accumulate > 1 else 0  # the running sum beside one part's gradient
    copies = CPU_COPIES * trained if on_cpu else 0
    gradients = trained + twice + copies
    ema = trained if settings.ema else 0
    saving = _saving(3 * trained + ema, frozen, largest) if on_cpu else 0
    return Needs(trained + frozen, 2 * trained, ema, gradients, int(activations), saving)


def _saving(copied: int, frozen: int, largest: int) -> int:
    """Bytes beside the state: the copy of what the next step takes over, and the leaves on their way to the disk."""
    at_once = min(copied + frozen, largest_part(largest) * 10**9)
    return copied + int(ON_ITS_WAY * at_once)


def _activations(config: ModelConfig, shape: Shape, on_cpu: bool) -> float:
    """Bytes of one row."""
    item, vlm = 4 if on_cpu else jnp.dtype(config.compute_dtype).itemsize, config.vlm
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


@dataclass(frozen=True)
class Room:
    """Bytes that a device may give this process, and of what that is, in words."""

    have: int
    of: str


def room_of(settings: TrainConfig) -> Room | None:
    """train.memory_limit_gb, else what is free; None where a device says nothing.

    On a CPU: what this process holds and what the machine has free, within the cgroup's limit, a part for each device that
    JAX makes of it. On a GPU: XLA's limit, and not more than what other processes leave.
    """
    if settings.memory_limit_gb:
        return Room(int(settings.memory_limit_gb * GB), "train.memory_limit_gb")
    device = jax.local_devices()[0]
    if device.platform == "cpu":
        return Room(hardware.available_bytes() // jax.local_device_count(), _of_machine())
    statistics = device.memory_stats() or {}
    limit = statistics.get("bytes_limit")
    left = _left_by_others(statistics) if device.platform == "gpu" else None
    if left is not None and (limit is None or left[0] < limit):
        return Room(*left)
    return None if limit is None else Room(limit, f"XLA's share of the {device.device_kind}")


def _of_machine() -> str:
    limit = hardware.cgroup_limit()
    within = "" if limit is None else f", {limit / GB:.1f} GB by its cgroup's limit"
    return f"free of {hardware.memory_bytes() / GB:.1f} GB of memory{within}"


def _left_by_others(statistics: Mapping[str, Any]) -> tuple[int, str] | None:
    """Of the GPU that has least: its memory without what other processes hold."""
    gpus, own = hardware.gpus(), hardware.held_on_gpus()
    if not gpus:
        return None
    pool = max(statistics.get("pool_bytes", 0), statistics.get("bytes_reserved", 0), statistics.get("bytes_in_use", 0))
    each = pool if own is None else own // len(gpus)
    gpu = min(gpus, key=lambda gpu: gpu.memory - max(0, gpu.used - each))
    others = max(0, gpu.used - each)
    return (
        gpu.memory - others,
        f"of the {gpu.memory / GB:.1f} GB of the {gpu.name}, where others hold {others / GB:.1f}",
    )


@dataclass(frozen=True)
class Remedies:
    """What would need less: words for the command line and bytes per device, by the same estimate as `asked`; `saving` of it
    is no part of the step."""

    asked: int
    by_words: Mapping[str, int]
    saving: int = 0

    def fitting(self, needed: int, have: int) -> list[str]:
        """Those that fit where `needed` is what the estimate called `asked`."""
        scale = needed / max(self.asked, 1)
        fitting = [words for words, size in self.by_words.items() if size * scale <= have]
        batches = [words for words in fitting if words.startswith(BATCH)]
        return [words for words in fitting if words not in batches[1:]]


def require_fits(needed: int, room: Room | None, remedies: Remedies, how: str) -> None:
    """Raises ValueError where `needed` bytes per device are not there; `how` the need is known."""
    if room is None or needed <= room.have:
        return
    fitting = remedies.fitting(needed, room.have)[:SHOWN]
    least = min(remedies.by_words, key=lambda words: remedies.by_words[words], default="")
    advice = (
        f"give {' or '.join(fitting)}"
        if fitting
        else "no setting of it fits" + (f", not even {least}" if least else "")
    )
    raise ValueError(
        f"this training needs {needed / GB:.1f} GB per device ({how}), there are {room.have / GB:.1f} ({room.of}): {advice}; "
        "or end what else runs here, or take a larger machine"
    )
