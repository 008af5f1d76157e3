"""How fast a training goes: tokens/s, FLOP/s and, where the device's peak is known, MFU."""

from __future__ import annotations

from typing import Any

import jax

from pirig.models.sizes import ModelConfig
from pirig.training.batches import Batches
from pirig.training.flops import SampleCost, Shape, sample_cost, utilisation
from pirig.training.optimizer import Tree


class Meter:
    """`row(samples_per_s)` gives a metrics row's speeds, over all devices together; empty for another kind of model."""

    def __init__(self, model_config: Any, batches: Batches, draws: int, trainable: Tree | None):
        self.config, self.cost = model_config, None
        self.kind, self.devices = jax.devices()[0].device_kind, len(jax.devices())
        if isinstance(model_config, ModelConfig):
            self.cost = _cost(model_config, batches, draws, trainable)

    @property
    def knows_peak(self) -> bool:
        return self.cost is not None and utilisation(1.0, self.config, self.kind, self.devices) is not None

    def row(self, samples_per_s: float) -> dict[str, float]:
        """tokens_per_s, tflops_per_s and, where the peak is known, mfu (0 to 1)."""
        if self.cost is None:
            return {}
        flops_per_s = samples_per_s * self.cost.step
        measured = {
            "tokens_per_s": round(samples_per_s * self.cost.tokens, 1),
            "tflops_per_s": round(flops_per_s / 1e12, 6),
        }
        mfu = utilisation(flops_per_s, self.config, self.kind, self.devices)
        return measured if mfu is None else {**measured, "mfu": round(mfu, 4)}


def _cost(config: ModelConfig, batches: Batches, draws: int, trainable: Tree | None) -> SampleCost:
    return sample_cost(config, Shape(len(batches.images), batches.tokens.shape[1], draws), trainable)
