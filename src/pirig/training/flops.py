"""How much arithmetic a training sample needs, from the model's config alone, and what that says about the device.

Counted are the multiply-adds of matrix products (two FLOPs each) that the step must do: forward, the gradient of
inputs where something before them trains, the gradient of trained weights. Layers computed again by remat do not count,
so the MFU is the model's, not the hardware's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from pirig.models.layout import flatten, leaf_specs
from pirig.models.sizes import ModelConfig
from pirig.models.towers.door import tower_named

VECTORS = ("bias", "scale", "input_embedding")  # leaves that are no matrix product
PREFIX, SUFFIX, VISION = "prefix", "suffix", "vision"

# Dense bfloat16 with float32 sums, FLOP/s, from the vendors' data sheets; by a part of JAX's device_kind.
PEAK_FLOPS = (
    ("H200", 989e12), ("H100 PCIe", 756e12), ("H100", 989e12), ("B200", 2250e12), ("A100", 312e12), ("L40S", 362e12),
    ("L40", 181e12), ("L4", 121e12), ("A10G", 70e12), ("RTX A6000", 155e12), ("RTX 5090", 210e12),
    ("RTX 4090", 165e12), ("RTX 3090", 71e12), ("TPU v6", 918e12), ("TPU v5p", 459e12), ("TPU v5 lite", 197e12),
    ("TPU v4", 275e12),
)  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """What of a training sample decides its cost: cameras, prompt tokens, noise draws."""

    cameras: int
    text_tokens: int
    draws: int = 1


@dataclass(frozen=True)
class SampleCost:
    """Of one training sample: FLOPs of the forward pass and of the whole step, tokens through the transformers."""

    forward: float
    step: float
    tokens: int


def prefix_tokens(config: ModelConfig, shape: Shape) -> int:
    return shape.cameras * config.image.tokens + shape.text_tokens


def suffix_tokens(config: ModelConfig, shape: Shape) -> int:
    return shape.draws * (config.action_horizon + (0 if config.pi05 else 1))


def sample_cost(config: ModelConfig, shape: Shape, trainable: dict[str, Any] | None = None) -> SampleCost:
    """`trainable`: tree of bool as for training; None: every leaf trains."""
    mask = None if trainable is None else flatten(trainable)
    weights, trains = 0.0, {PREFIX: False, SUFFIX: True, VISION: False}
    forward, by_leaf = _attention(config, shape), _vision(config, shape)
    for path, leaf in leaf_specs(config).items():
        part, trained = _part(path, config), mask is None or bool(mask[path])
        trains[part] |= trained and "input_embedding" not in path
        products = (
            by_leaf.get(path, 0.0) if part == VISION else 2.0 * _rows(path, config, shape) * math.prod(leaf.shape)
        )
        forward[part] += products
        weights += products if trained else 0.0
    trains[PREFIX] |= trains[VISION] or mask is None
    inputs = sum(forward[part] for part in forward if trains[part])
    inputs += sum(
        _attention(config, shape)[part] for part in forward if trains[part]
    )  # two products, two gradients each
    total = sum(forward.values())
    return SampleCost(total, total + inputs + weights, prefix_tokens(config, shape) + suffix_tokens(config, shape))


def _vision(config: ModelConfig, shape: Shape) -> dict[str, float]:
    """The tower's FLOPs by leaf of the model, of all cameras; under "" those without a leaf."""
    tower = tower_named(config.tower)
    of_an_image = tower.flops(config.image, config.vlm.width)
    return {f"{tower.root}/{path}" if path else "": shape.cameras * flops for path, flops in of_an_image.items()}


def _part(path: str, config: ModelConfig) -> str:
    if tower_named(config.tower).holds(path):
        return VISION
    is_expert = any(word.endswith("_1") for word in path.split("/"))
    return SUFFIX if is_expert or not path.startswith("PaliGemma/") else PREFIX


def _rows(path: str, config: ModelConfig, shape: Shape) -> float:
    """How many tokens of a sample a leaf of a transformer or of the heads multiplies; 0 for what is no matrix product."""
    if path.rsplit("/", 1)[-1] in VECTORS:
        return 0
    part, actions = _part(path, config), shape.draws * config.action_horizon
    if part == PREFIX:  # only keys and values of the last layer are used
        live = 1.0 if "/kv_einsum" in path or "/qkv_einsum" in path else 1 - 1 / config.vlm.depth
        return prefix_tokens(config, shape) * live
    if path.startswith("PaliGemma/"):
        return shape.draws if "Dense_0" in path else suffix_tokens(config, shape)
    if path.startswith("time_mlp"):
        return shape.draws
    return 1 if path.startswith("state_proj") else actions


def _attention(config: ModelConfig, shape: Shape) -> dict[str, float]:
    """FLOPs of the two products of attention, and of what else has no leaf in the tower, forward."""
    prefix, suffix = prefix_tokens(config, shape), suffix_tokens(config, shape)
    heads = config.vlm.num_heads * config.vlm.head_dim
    return {
        VISION: _vision(config, shape).get("", 0.0),
        PREFIX: 4.0 * (config.vlm.depth - 1) * prefix**2 * heads,
        SUFFIX: 4.0 * config.expert.depth * suffix * (prefix + suffix) * heads,
    }


def peak_flops(device_kind: str) -> float | None:
    """bfloat16 FLOP/s of a device by the name that JAX gives it; None where it is not known."""
    return next((peak for name, peak in PEAK_FLOPS if name.lower() in device_kind.lower()), None)


def utilisation(flops_per_s: float, config: ModelConfig, device_kind: str, devices: int) -> float | None:
    """The share of the devices' bfloat16 peak that is used; None where the peak is unknown or the compute is float32."""
    peak = peak_flops(device_kind)
    if peak is None or config.compute_dtype != "bfloat16":
        return None
    return flops_per_s / (peak * devices)
