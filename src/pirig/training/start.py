"""What a training starts from: given weights or fresh ones, which leaves train, and how they lie on the devices."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import jax

from pirig.config.schema import Config, TrainConfig
from pirig.datasets.lerobot_read import Dataset
from pirig.models.layout import param_shapes
from pirig.models.sizes import ModelConfig
from pirig.models.towers.door import tower_named
from pirig.runs.progress import newest_checkpoint
from pirig.training.loop import initial_key
from pirig.training.memory import GB, device_limit, estimate, require_fits
from pirig.training.optimizer import Tree, cast_frozen, lora_trainable
from pirig.training.processes import first_then_others, is_first
from pirig.training.sharding import Placement, make_placement

REMEDIES = (2, 4, 8, 16)


def trainable_of(config: ModelConfig, *, freeze_vision: bool) -> Tree | None:
    """Tree of bool by openpi's freeze rule; None where everything trains."""
    vlm_lora, expert_lora = config.vlm.lora is not None, config.expert.lora is not None
    if not (vlm_lora or expert_lora or freeze_vision):
        return None
    frozen_below = tower_named(config.tower).root if freeze_vision else None
    return lora_trainable(
        param_shapes(config), vlm_lora=vlm_lora, expert_lora=expert_lora, frozen_below=frozen_below
    )  # fmt: skip


def start_params(config: Config, model: ModelConfig, trainable: Tree | None, folder: Path) -> Tree | None:
    """Trained leaves float32, frozen ones bfloat16, as host arrays; None: fresh from the seed.

    A resumed run takes its own checkpoint's, so it needs the base no more. Raises ValueError for weights of another
    model or size, and for a frozen leaf that no checkpoint supplied.
    """
    from pirig.weights.fetch import resolve
    from pirig.weights.load import require_supplied, start_from

    source = newest_checkpoint(folder) if config.run.mode == "resume" else None
    if source is None:
        with first_then_others("weights"):
            source = resolve(config.weights)
    if source is None:
        require_supplied((), trainable or {})
        return None
    params, supplied = start_from(source, model, initial_key(config.train), dtype="float32")
    if trainable is not None:
        require_supplied(supplied, trainable)
    return cast_frozen(params, trainable)


def require_long_enough(config: Config, dataset: Dataset) -> None:
    """Raises ValueError where the data set's own shortest episode is shorter than an action chunk."""
    shortest = min(dataset.lengths)
    if config.horizon.steps > shortest:
        raise ValueError(
            f"horizon={config.horizon.steps}: the shortest episode of {dataset.folder} has {shortest} steps; "
            f"choose a horizon of at most {shortest}."
        )


def placement_of(config: Config) -> Placement | None:
    """All devices of all processes; None for a single one."""
    if len(jax.devices()) == 1 and config.fsdp.devices == 1:
        return None
    settings, least = config.train, int(config.fsdp.min_mib * 2**20)
    return make_placement(
        config.fsdp.devices, min_bytes=least, batch_size=settings.batch_size, accumulate=settings.accumulate
    )


def require_memory(config: Config, model: ModelConfig, trainable: Tree | None, *, cameras: int, tokens: int) -> None:
    """Says what the training will need per device; ValueError with remedies where the device has less."""
    from pirig.training.flops import Shape

    shape, settings, least = Shape(cameras, tokens, config.train.flow_samples), config.train, config.fsdp.min_mib
    common: dict[str, Any] = {"devices": len(jax.devices()), "min_bytes": int(least * 2**20)}
    needs = estimate(model, settings, shape, trainable=trainable, fsdp=config.fsdp.devices, **common)
    if is_first():
        print(f"memory per device, estimated: {needs.total / GB:.2f} GB ({needs.table()})", file=sys.stderr, flush=True)
    limit = device_limit(settings)
    if limit is not None and needs.total > limit:
        require_fits(needs.total, limit, _remedies(config, model, settings, shape, trainable, common))


def _remedies(
    config: Config,
    model: ModelConfig,
    settings: TrainConfig,
    shape: Any,
    trainable: Tree | None,
    common: dict[str, Any],
) -> dict[str, int]:
    """Settings that need less, and their bytes per device."""
    bytes_by_setting = {}
    if config.weights.kind and not config.finetune.freeze_vision:
        for name, freeze in (("lora", False), ("lora_light", True)):
            if name != config.finetune.name:
                smaller = with_lora(model, config.size.name)
                mask = trainable_of(smaller, freeze_vision=freeze)
                needs = estimate(smaller, settings, shape, trainable=mask, fsdp=config.fsdp.devices, **common)
                bytes_by_setting[f"finetune={name}"] = needs.total
    for parts in REMEDIES:
        if parts > config.fsdp.devices:
            many = {**common, "devices": max(common["devices"], parts)}
            bytes_by_setting[f"fsdp={parts}"] = estimate(
                model, settings, shape, trainable=trainable, fsdp=parts, **many
            ).total  # fmt: skip
    return bytes_by_setting


def with_lora(model: ModelConfig, size: str) -> ModelConfig:
    """The model with its size's own low-rank branches."""
    from dataclasses import replace

    from pirig.models.sizes import SIZES

    base = SIZES[size]
    vlm, expert = replace(model.vlm, lora=base.vlm_lora), replace(model.expert, lora=base.expert_lora)
    return replace(model, vlm=vlm, expert=expert)
