"""The sizes of the model: openpi's own ("full") and two that train from nothing on small machines."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any


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
class VisionConfig:
    """The SigLIP encoder: square images of `image_px`, cut into square patches of `patch_px`."""

    width: int
    depth: int
    mlp_dim: int
    num_heads: int
    patch_px: int
    image_px: int = 224

    @property
    def tokens(self) -> int:
        """Tokens per camera."""
        return (self.image_px // self.patch_px) ** 2


@dataclass(frozen=True)
class ModelConfig:
    """A whole pi0 or pi0.5. `compute_dtype` is that of the two transformers; parameters keep their own."""

    pi05: bool
    action_dim: int
    action_horizon: int
    max_token_len: int
    vocab_size: int
    image: VisionConfig
    vlm: TransformerConfig
    expert: TransformerConfig
    compute_dtype: str = "float32"
    remat: bool = False

    def __post_init__(self) -> None:
        for name in ("depth", "num_heads", "num_kv_heads", "head_dim"):
            ours, other = getattr(self.vlm, name), getattr(self.expert, name)
            if ours != other:
                raise ValueError(f"{name}: the VLM has {ours}, the action expert {other}; both must be the same.")
        if self.image.image_px % self.image.patch_px:
            raise ValueError(
                f"image_px={self.image.image_px} is not a multiple of patch_px={self.image.patch_px}; change one."
            )
        if self.image.width % self.image.num_heads:
            raise ValueError(f"image width {self.image.width} does not divide into {self.image.num_heads} heads.")

    @staticmethod
    def from_plain(plain: dict[str, Any]) -> ModelConfig:
        """The inverse of dataclasses.asdict, as checkpoints keep it in JSON."""

        def stack(entry: dict[str, Any]) -> TransformerConfig:
            return TransformerConfig(**{**entry, "lora": LoraConfig(**entry["lora"]) if entry["lora"] else None})

        parts = {"image": VisionConfig(**plain["image"]), "vlm": stack(plain["vlm"]), "expert": stack(plain["expert"])}
        return ModelConfig(**{**plain, **parts})


@dataclass(frozen=True)
class _Size:
    image: VisionConfig
    vlm: TransformerConfig
    expert: TransformerConfig
    vlm_lora: LoraConfig
    expert_lora: LoraConfig
    vocab_size: int


SIZES = {
    "full": _Size(  # SigLIP So400m/14, Gemma 2B and the 300M action expert
        VisionConfig(width=1152, depth=27, mlp_dim=4304, num_heads=16, patch_px=14),
        TransformerConfig(width=2048, depth=18, mlp_dim=16384, num_heads=8, num_kv_heads=1, head_dim=256),
        TransformerConfig(width=1024, depth=18, mlp_dim=4096, num_heads=8, num_kv_heads=1, head_dim=256),
        LoraConfig(16, 16.0),
        LoraConfig(32, 32.0),
        257152,
    ),
    "small": _Size(  # about 30 M parameters
        VisionConfig(width=384, depth=8, mlp_dim=1024, num_heads=6, patch_px=16),
        TransformerConfig(width=384, depth=8, mlp_dim=1024, num_heads=6, num_kv_heads=1, head_dim=64),
        TransformerConfig(width=256, depth=8, mlp_dim=512, num_heads=6, num_kv_heads=1, head_dim=64),
        LoraConfig(16, 16.0),
        LoraConfig(16, 16.0),
        512,
    ),
    "tiny": _Size(  # under 2 M parameters: minutes on two CPU cores
        VisionConfig(width=128, depth=4, mlp_dim=192, num_heads=4, patch_px=16),
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
) -> ModelConfig:
    """The ModelConfig of a named size; `patch_px` and `vocab_size` default to the size's own."""
    if size not in SIZES:
        raise ValueError(f"size={size}: expected one of {', '.join(SIZES)}.")
    base = SIZES[size]
    return ModelConfig(
        pi05=pi05,
        action_dim=action_dim,
        action_horizon=action_horizon,
        max_token_len=max_token_len,
        vocab_size=base.vocab_size if vocab_size is None else vocab_size,
        image=replace(base.image, image_px=image_px, patch_px=base.image.patch_px if patch_px is None else patch_px),
        vlm=replace(base.vlm, lora=base.vlm_lora if lora else None),
        expert=replace(base.expert, lora=base.expert_lora if lora else None),
        compute_dtype=compute_dtype,
        remat=size == "full",
    )
