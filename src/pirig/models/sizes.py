"""The sizes of the model: openpi's own ("full") and two that train from nothing on small machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pirig.models.towers.door import USUAL, TowerConfig, tower_named


@dataclass(frozen=True)
class LoraConfig:
    """A low-rank branch beside each frozen matrix; attention scales it by alpha / rank, the MLP not (openpi's)."""

    rank: int
    alpha: float


@dataclass(frozen=True)
class TransformerConfig:
    """One Gemma stack. The VLM and the action expert must agree in everything but width, mlp_dim and lora."""

    width: int
    depth: int
    mlp_dim: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    lora: LoraConfig | None = None


@dataclass(frozen=True)
class ModelConfig:
    """A whole pi0 or pi0.5. `compute_dtype` is that of the two transformers; parameters keep their own.

    `tower` names the vision tower, `image` is its config.
    """

    pi05: bool
    action_dim: int
    action_horizon: int
    max_token_len: int
    vocab_size: int
    image: TowerConfig
    vlm: TransformerConfig
    expert: TransformerConfig
    compute_dtype: str = "float32"
    remat: bool = False
    tower: str = USUAL

    def __post_init__(self) -> None:
        for name in ("depth", "num_heads", "num_kv_heads", "head_dim"):
            ours, other = getattr(self.vlm, name), getattr(self.expert, name)
            if ours != other:
                raise ValueError(f"{name}: the VLM has {ours}, the action expert {other}; both must be the same.")

    @staticmethod
    def from_plain(plain: dict[str, Any]) -> ModelConfig:
        """The inverse of dataclasses.asdict, as checkpoints keep it in JSON; older ones name no tower."""

        def stack(entry: dict[str, Any]) -> TransformerConfig:
            return TransformerConfig(**{**entry, "lora": LoraConfig(**entry["lora"]) if entry["lora"] else None})

        image = tower_named(plain.get("tower", USUAL)).config(**plain["image"])
        return ModelConfig(**{**plain, "image": image, "vlm": stack(plain["vlm"]), "expert": stack(plain["expert"])})


@dataclass(frozen=True)
class _Size:
    vlm: TransformerConfig
    expert: TransformerConfig
    vlm_lora: LoraConfig
    expert_lora: LoraConfig
    vocab_size: int


SIZES = {
    "full": _Size(  # Gemma 2B and the 300M action expert
        TransformerConfig(width=2048, depth=18, mlp_dim=16384, num_heads=8, num_kv_heads=1, head_dim=256),
        TransformerConfig(width=1024, depth=18, mlp_dim=4096, num_heads=8, num_kv_heads=1, head_dim=256),
        LoraConfig(16, 16.0),
        LoraConfig(32, 32.0),
        257152,
    ),
    "small": _Size(  # 18 to 32 M parameters
        TransformerConfig(width=384, depth=8, mlp_dim=1024, num_heads=6, num_kv_heads=1, head_dim=64),
        TransformerConfig(width=256, depth=8, mlp_dim=512, num_heads=6, num_kv_heads=1, head_dim=64),
        LoraConfig(16, 16.0),
        LoraConfig(16, 16.0),
        512,
    ),
    "tiny": _Size(  # under 2 M parameters: minutes on two CPU cores
        TransformerConfig(width=128, depth=4, mlp_dim=128, num_heads=4, num_kv_heads=1, head_dim=32),
        TransformerConfig(width=128, depth=4, mlp_dim=128, num_heads=4, num_kv_heads=1, head_dim=32),
        LoraConfig(8, 8.0),
        LoraConfig(8, 8.0),
        512,
    ),
}


def model_config(
    *,
    pi05: bool,
    size: str,
    lora: bool,
    action_dim: int,
    action_horizon: int,
    max_token_len: int,
    image_px: int,
    patch_px: int | None = None,
    vocab_size: int | None = None,
    compute_dtype: str = "float32",
    tower: str = USUAL,
    tower_settings: Mapping[str, Any] | None = None,
) -> ModelConfig:
    """The ModelConfig of a named size; `patch_px` and `vocab_size` default to the size's own.

    `tower_settings`: those of the tower's YAML.
    """
    if size not in SIZES:
        raise ValueError(f"size={size}: expected one of {', '.join(SIZES)}.")
    base = SIZES[size]
    return ModelConfig(
        pi05=pi05,
        action_dim=action_dim,
        action_horizon=action_horizon,
        max_token_len=max_token_len,
        vocab_size=base.vocab_size if vocab_size is None else vocab_size,
        image=tower_named(tower).sized(size, image_px, patch_px, tower_settings or {}),
        vlm=replace(base.vlm, lora=base.vlm_lora if lora else None),
        expert=replace(base.expert, lora=base.expert_lora if lora else None),
        compute_dtype=compute_dtype,
        remat=size == "full",
        tower=tower,
    )
