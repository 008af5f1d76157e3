"""The real openpi in this process, at the size of one of our models: the numbers of its variants are replaced, no code.

Needs an environment of openpi's own pins (`make test-openpi` builds one). Fails, never skips, where openpi is absent.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any
from unittest import mock

import jax.numpy as jnp
import numpy as np

from pirig.models.layout import Tree, leaf_specs, nest
from pirig.models.pi0 import Observation
from pirig.models.sizes import ModelConfig, TransformerConfig
from pirig.policies.for_openpi import OPENPI_ROLES, pi0_arguments
from pirig.training.openpi_trainer import as_openpi, find

MORE = ("models.gemma", "models.lora", "models.siglip", "policies.policy_config", "shared.nnx_utils", "training.checkpoints",
        "training.sharding", "training.utils", "transforms")  # fmt: skip


def import_openpi() -> SimpleNamespace:
    """openpi's modules by their last name and scripts/train.py as `script`. Raises ValueError with what to do."""
    found = find()
    more = {name.split(".")[-1]: importlib.import_module(f"openpi.{name}") for name in MORE}
    more["saving"] = more.pop("checkpoints")
    return SimpleNamespace(**vars(found), **more, nnx=importlib.import_module("flax.nnx"))


@contextlib.contextmanager
def sized(openpi: SimpleNamespace, config: ModelConfig) -> Iterator[None]:
    """openpi's gemma_2b, gemma_300m, So400m/14 and vocabulary have the widths and depths of `config`; 224 px stay."""
    assert config.image.image_px == 224, config.image
    stacks = {"gemma_2b": _stack(openpi, config.vlm), "gemma_300m": _stack(openpi, config.expert)}
    image = {name: getattr(config.image, name) for name in ("width", "depth", "mlp_dim", "num_heads")}
    image["patch_size"] = (config.image.patch_px,) * 2
    with (
        mock.patch.object(openpi.gemma, "get_config", lambda variant: stacks[variant.removesuffix("_lora")]),
        mock.patch.object(openpi.gemma, "PALIGEMMA_VOCAB_SIZE", config.vocab_size),
        mock.patch.object(openpi.siglip, "decode_variant", lambda variant: image),
    ):
        yield


def _stack(openpi: SimpleNamespace, stack: TransformerConfig) -> Any:
    sizes = {
        name: getattr(stack, name) for name in ("width", "depth", "mlp_dim", "num_heads", "num_kv_heads", "head_dim")
    }
    lora = stack.lora and openpi.lora.LoRAConfig(rank=stack.lora.rank, alpha=stack.lora.alpha)
    return openpi.gemma.Config(**sizes, lora_configs={"attn": lora, "ffn": lora} if lora else {})


def their_config(openpi: SimpleNamespace, config: ModelConfig) -> Any:
    return openpi.pi0_config.Pi0Config(dtype=config.compute_dtype, **pi0_arguments(config, config.pi05))


def their_observation(openpi: SimpleNamespace, batch: Mapping[str, Any], max_token_len: int) -> Any:
    """A batch of ours as openpi is fed: absent cameras black and masked, prompts padded to `max_token_len`."""
    named = as_openpi(dict(batch), max_token_len)
    named.pop("actions")
    return openpi.model.Observation.from_dict(_on_device(named))


def our_observation(batch: Mapping[str, Any]) -> Observation:
    return Observation(**_on_device({name: batch[name] for name in Observation._fields}))


def small_batch(config: ModelConfig, rows: int, *, cameras: int = 2, words: int = 9, seed: int = 0) -> dict[str, Any]:
    """Random numbers as the loader gives them: `cameras` present as uint8, a prompt of `words` tokens without padding."""
    draw = np.random.default_rng(seed)
    size = (rows, config.image.image_px, config.image.image_px, 3)
    roles = OPENPI_ROLES[:cameras]
    return {
        "images": {role: draw.integers(0, 256, size, dtype=np.uint8) for role in roles},
        "image_masks": {role: np.ones(rows, bool) for role in roles},
        "state": draw.normal(size=(rows, config.action_dim)).astype(np.float32),
        "tokens": draw.integers(1, config.vocab_size, (rows, words)).astype(np.int32),
        "token_mask": np.ones((rows, words), bool),
        "actions": draw.normal(size=(rows, config.action_horizon, config.action_dim)).astype(np.float32),
    }


def random_params(config: ModelConfig, seed: int = 0) -> Tree:
    """Fresh parameters with noise on every leaf: openpi's fresh ones are zero where an error would hide."""
    draw = np.random.default_rng(seed)
    scale = {path: max(leaf.scale, 0.05) if leaf.init in ("normal", "zeros", "ones") else leaf.scale
             for path, leaf in leaf_specs(config).items()}  # fmt: skip
    flat = {
        path: (draw.normal(size=leaf.shape) * scale[path] + (leaf.init == "ones")).astype(np.float32)
        for path, leaf in leaf_specs(config).items()
    }
    return nest(flat)


def _on_device(tree: Any) -> Any:
    if isinstance(tree, Mapping):
        return {name: _on_device(part) for name, part in tree.items()}
    return jnp.asarray(tree)
