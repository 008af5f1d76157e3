"""Reading a recorded variant: its shape file, its inputs and its parameters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

from pirig.models.flow import ModelInputs
from pirig.models.layout import Tree, flatten, leaf_specs, nest
from pirig.models.lora import trainable_mask
from pirig.models.sizes import LoraConfig, ModelConfig, TransformerConfig
from pirig.models.towers.siglip import SiglipConfig

TRANSFORMER_KEYS = ("width", "depth", "mlp_dim", "num_heads", "num_kv_heads", "head_dim")
KEYS = ("pi05", "action_dim", "action_horizon", "max_token_len", "vocab", "image", "vlm", "expert")
BF16 = jnp.bfloat16


class Batch(NamedTuple):
    """`actions` and `noise` f32 [B, A, J], `flow_time` f32 [B]."""

    inputs: ModelInputs
    actions: jax.Array
    noise: jax.Array
    flow_time: jax.Array


def read_config(path: Path, image_px: int) -> ModelConfig:
    """The model of a VARIANT.json (float32 compute); a missing key is an error, others are not read."""
    found = json.loads(path.read_text())
    missing = sorted(set(KEYS) - set(found))
    if missing:
        raise ValueError(f"{path.name} lacks {', '.join(missing)}; expected the keys {', '.join(KEYS)}.")
    image = found["image"]
    return ModelConfig(
        pi05=found["pi05"],
        action_dim=found["action_dim"],
        action_horizon=found["action_horizon"],
        max_token_len=found["max_token_len"],
        vocab_size=found["vocab"],
        image=SiglipConfig(
            image["width"], image["depth"], image["mlp_dim"], image["num_heads"], image["patch"], image_px=image_px
        ),
        vlm=_transformer(found["vlm"]),
        expert=_transformer(found["expert"]),
    )


def _transformer(found: dict[str, Any]) -> TransformerConfig:
    lora = found["lora"] and LoraConfig(found["lora"]["rank"], found["lora"]["alpha"])
    return TransformerConfig(*(found[key] for key in TRANSFORMER_KEYS), lora=lora)


def image_size_px(inputs: dict[str, np.ndarray]) -> int:
    return next(array.shape[1] for name, array in inputs.items() if name.startswith("image/"))


def read_batch(inputs: dict[str, np.ndarray], config: ModelConfig) -> Batch:
    """The recorded inputs of this action width; images stay uint8."""
    cameras = [name.removeprefix("image/") for name in inputs if name.startswith("image/")]
    width = f"ad{config.action_dim}"
    if f"state_{width}" not in inputs:
        raise ValueError(f"the inputs have no state_{width}; they have {sorted(inputs)}.")
    model_inputs = ModelInputs(
        images={camera: jnp.asarray(inputs[f"image/{camera}"]) for camera in cameras},
        image_masks={camera: jnp.asarray(inputs[f"image_mask/{camera}"]) for camera in cameras},
        state=jnp.asarray(inputs[f"state_{width}"]),
        tokens=jnp.asarray(inputs["tokenized_prompt"]),
        token_mask=jnp.asarray(inputs["tokenized_prompt_mask"]),
    )
    actions, noise = jnp.asarray(inputs[f"actions_{width}"]), jnp.asarray(inputs[f"noise_{width}"])
    return Batch(model_inputs, actions, noise, jnp.asarray(inputs["time"]))


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Every array of an npz; bfloat16, which npz keeps as raw two-byte items, gets its type back."""
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    return {name: a.view(ml_dtypes.bfloat16) if a.dtype == np.dtype("V2") else a for name, a in arrays.items()}


def read_params(path: Path, config: ModelConfig) -> Tree:
    """The parameter tree, checked against the model's own; with or without a last path element "value".

    A frozen base whose float32 numbers are all bfloat16 numbers was recorded in bfloat16: it is used in bfloat16.
    """
    flat = {name.removeprefix("params/").removesuffix("/value"): array for name, array in read_arrays(path).items()}
    expected = {name: leaf.shape for name, leaf in leaf_specs(config).items()}
    found = {name: array.shape for name, array in flat.items()}
    wrong = [f"{name}: expected {expected.get(name)}, got {found.get(name)}" for name in sorted({*expected, *found})
             if expected.get(name) != found.get(name)]  # fmt: skip
    if wrong:
        raise ValueError(f"{path.name} does not fit the variant:\n  " + "\n  ".join(wrong))
    frozen = [name for name, trained in flatten(trainable_mask(config)).items() if not trained]
    if frozen and all(_holds_bf16(flat[name]) for name in frozen):
        flat |= {name: flat[name].astype(ml_dtypes.bfloat16) for name in frozen}
    return nest({name: jnp.asarray(array) for name, array in flat.items()})


def _holds_bf16(array: np.ndarray) -> bool:
    return bool(np.array_equal(array, array.astype(ml_dtypes.bfloat16).astype(array.dtype)))


def bf16_paths(params: Tree) -> list[str]:
    return [name for name, leaf in flatten(params).items() if leaf.dtype == BF16]
