"""The model and the pipeline that a config asks for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pirig.config.schema import Config
from pirig.contract import Contract
from pirig.transforms.normalize import load_norm_stats
from pirig.transforms.pipeline import Pipeline

if TYPE_CHECKING:
    from pirig.models.sizes import ModelConfig


def model_of(config: Config, vocab_size: int) -> ModelConfig:
    """`vocab_size`: the tokenizer's; the size's own vocabulary is kept where it is larger."""
    from pirig.models.sizes import model_config

    known = {"size": None, "always": True, "never": False}
    if config.train.remat not in known:
        raise ValueError(f"train.remat={config.train.remat}: expected one of {', '.join(known)}.")
    model = model_config(
        pi05=config.model.pi05,
        size=config.size.name,
        lora=config.finetune.lora,
        action_dim=config.size.action_dim,
        action_horizon=config.horizon.steps,
        max_token_len=config.size.max_token_len,
        image_px=config.size.image_px,
        patch_px=config.size.patch_px,
        compute_dtype=config.size.compute_dtype,
        tower=config.tower.name,
        tower_settings=config.tower.settings,
    )
    model = dataclasses.replace(model, vocab_size=max(model.vocab_size, vocab_size))
    if not config.finetune.lora_expert:
        model = dataclasses.replace(model, expert=dataclasses.replace(model.expert, lora=None))
    remat = known[config.train.remat]
    return model if remat is None else dataclasses.replace(model, remat=remat)


def pipeline_of(config: Config, contract: Contract, stats: Mapping[str, Path]) -> Pipeline:
    """`stats`: the files that its numbers are normalised with, by task where each has its own, else under ""."""
    from pirig.policies.tokenizers import load_tokenizer

    tokenizer = load_tokenizer(config.size.tokenizer, config.size.max_token_len, config.weights.url)
    return Pipeline(
        contract=contract,
        model_config=model_of(config, tokenizer.vocab_size),
        normalization=config.model.normalization,
        state_in_prompt=config.model.state_in_prompt,
        stats=load_norm_stats(stats[""]) if "" in stats else {},
        tokenizer=tokenizer,
        relative_to_state=tuple(config.control.relative_to_state),
        stats_of={task: load_norm_stats(path) for task, path in stats.items() if task},
    )
