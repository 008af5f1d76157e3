"""What a training starts from: given weights or fresh ones, which leaves train, and how they lie on the devices."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from pirig.config.schema import Config, TrainConfig, WeightsConfig
from pirig.datasets.lerobot.read import Dataset
from pirig.models.layout import flatten, param_shapes
from pirig.models.sizes import ModelConfig
from pirig.models.towers.door import tower_named
from pirig.policies.card import has_card
from pirig.runs.progress import newest_checkpoint
from pirig.training.loop import initial_key
from pirig.training.memory import BATCH, GB, Needs, Remedies, estimate, require_fits, room_of
from pirig.training.optimizer import Tree, cast_frozen, lora_trainable
from pirig.training.processes import first_then_others, is_first
from pirig.training.sharding import Placement, make_placement

REMEDIES = (2, 4, 8, 16)


def trainable_of(config: ModelConfig, *, freeze_vision: bool, freeze_vlm: bool = False) -> Tree | None:
    """Tree of bool by openpi's freeze rule; None where everything trains."""
    vlm_lora, expert_lora = config.vlm.lora is not None, config.expert.lora is not None
    if not (vlm_lora or expert_lora or freeze_vision or freeze_vlm):
        return None
    frozen_below = tower_named(config.tower).root if freeze_vision else None
    return lora_trainable(
        param_shapes(config),
        vlm_lora=vlm_lora,
        expert_lora=expert_lora,
        frozen_below=frozen_below,
        freeze_vlm=freeze_vlm,
    )


def start_params(
    config: Config, model: ModelConfig, trainable: Tree | None, folder: Path, placement: Placement | None = None
) -> Tree | None:
    """Trained leaves float32, frozen ones bfloat16, on the devices where they train; None: fresh from the seed.

    One leaf at a time is read, cast and put there. A resumed run takes its own checkpoint's, so it needs the base no more.
    Raises ValueError for weights of another model or size, and for a frozen leaf that no checkpoint supplied.
    """
    from pirig.weights.fetch import resolve
    from pirig.weights.load import on_device, require_supplied, start_from

    source = newest_checkpoint(folder) if config.run.mode == "resume" else None
    if source is None:
        with first_then_others("weights"):
            source = resolve(config.weights)
    if source is None:
        require_supplied((), trainable or {})
        return None
    frozen = {path for path, trains in flatten(trainable or {}).items() if not trains}
    place = on_device if placement is None else placement.put_leaf

    def dtype(path: str) -> str:
        return "bfloat16" if path in frozen else "float32"

    params, supplied = start_from(source, model, initial_key(config.train), dtype, place)
    if trainable is not None:
        require_supplied(supplied, trainable)
    return cast_frozen(params, trainable)


def checkpoint_of(weights: WeightsConfig) -> Path | None:
    """The step's folder of a run of ours that training starts from; None where it starts otherwise."""
    from pirig.weights.load import params_folder

    if not weights.path or weights.path.startswith("gs://") or not Path(weights.path).is_dir():
        return None
    step = params_folder(Path(weights.path)).parent
    return step if has_card(step) else None


def require_long_enough(config: Config, dataset: Dataset) -> None:
    """Raises ValueError where an action chunk is longer than half of the episodes: it would be mostly padding. Single shorter
    ones are trained on, their last action repeated as behind every episode's end."""
    typical = int(np.median(dataset.lengths))
    if config.horizon.steps > typical:
        raise ValueError(
            f"horizon={config.horizon.steps}: half of the {len(dataset.lengths)} episodes of {dataset.folder} have {typical} "
            f"steps or fewer, so a chunk would be mostly padding; choose a horizon of at most {typical}."
        )


def placement_of(config: Config) -> Placement | None:
    """All devices of all processes; None for a single one."""
    if len(jax.devices()) == 1 and config.fsdp.devices == 1:
        return None
    settings, least = config.train, int(config.fsdp.min_mib * 2**20)
    return make_placement(
        config.fsdp.devices, min_bytes=least, batch_size=settings.batch_size, accumulate=settings.accumulate
    )


def require_memory(
    config: Config, model: ModelConfig, trainable: Tree | None, *, cameras: int, tokens: int
) -> Remedies:
    """Says what the training will need per device; ValueError with remedies where the device has less.

    Returns the remedies, for the same question once the step is compiled.
    """
    from pirig.training.flops import Shape

    shape = Shape(cameras, tokens, config.train.flow_samples)
    common: dict[str, Any] = {"devices": len(jax.devices()), "min_bytes": int(config.fsdp.min_mib * 2**20)}

    def needed(model: ModelConfig, trainable: Tree | None, fsdp: int = config.fsdp.devices, **changes: Any) -> Needs:
        settings, devices = replace(config.train, **changes), {**common, "devices": max(common["devices"], fsdp)}
        return estimate(model, settings, shape, trainable=trainable, fsdp=fsdp, **devices)

    needs = needed(model, trainable)
    if is_first():
        print(f"memory per device, estimated: {needs.total / GB:.2f} GB ({needs.table()})", file=sys.stderr, flush=True)
    remedies = Remedies(needs.total, _remedies(config, model, trainable, needed), saving=needs.saving)
    require_fits(needs.total, room_of(config.train), remedies, "estimated")
    return remedies


def _remedies(
    config: Config, model: ModelConfig, trainable: Tree | None, needed: Callable[..., Needs]
) -> dict[str, int]:
    """Settings that need less, and their bytes per device; all that can be combined come last, together."""
    settings, asked = config.train, needed(model, trainable).total
    cheap: dict[str, dict[str, Any]] = {}
    if settings.batch_size > 1:
        parts = max(part for part in range(2, settings.batch_size + 1) if settings.batch_size % part == 0)
        parts = parts // len(jax.devices()) or 1
        if settings.batch_size % (parts * len(jax.devices())) == 0 and parts > settings.accumulate:
            cheap[f"train.accumulate={parts}"] = {"accumulate": parts}
    if settings.ema:
        cheap["train.ema=0"] = {"ema": 0.0}
    sizes = {words: needed(model, trainable, **change).total for words, change in cheap.items()}
    for rows in _smaller_batches(settings):
        sizes[f"{BATCH}{rows}"] = needed(model, trainable, batch_size=rows).total
    if not model.remat:
        sizes["train.remat=always"] = needed(replace(model, remat=True), trainable).total
    together = {name: value for change in cheap.values() for name, value in change.items()}
    smaller = (model, trainable, "")
    if config.weights.kind and not config.finetune.freeze_vision:
        for name, freeze in (("lora", False), ("lora_light", True)):
            if name != config.finetune.name:
                lora = with_lora(model, config.size.name)
                smaller = (lora, trainable_of(lora, freeze_vision=freeze), f"finetune={name}")
                sizes[smaller[2]] = needed(*smaller[:2]).total
    if jax.devices()[0].platform != "cpu":
        for parts in REMEDIES:
            if parts > config.fsdp.devices:
                sizes[f"fsdp={parts}"] = needed(model, trainable, parts).total
    words = " ".join(word for word in (smaller[2], *cheap) if word)
    sizes[words or "train.batch_size=1"] = needed(*smaller[:2], **together).total
    return {words: size for words, size in sizes.items() if size < asked}


def _smaller_batches(settings: TrainConfig) -> Iterator[int]:
    """Half of it, again and again, as long as devices and parts divide it; another training, where the rest are the same one."""
    rows, least = settings.batch_size // 2, len(jax.devices()) * settings.accumulate
    while rows >= least:
        if rows % least == 0:
            yield rows
        rows //= 2


def with_lora(model: ModelConfig, size: str) -> ModelConfig:
    """The model with its size's own low-rank branches."""
    from pirig.models.sizes import SIZES

    base = SIZES[size]
    vlm, expert = replace(model.vlm, lora=base.vlm_lora), replace(model.expert, lora=base.expert_lora)
    return replace(model, vlm=vlm, expert=expert)
