"""Which parameters a LoRA fine-tune trains."""

from __future__ import annotations

from pirig.models.layout import Tree, leaf_specs, nest
from pirig.models.sizes import ModelConfig

VARIANTS = ("openpi",)


def trainable_mask(config: ModelConfig, variant: str = "openpi") -> Tree:
    """The parameter tree with True where a leaf is trained; all True without LoRA.

    "openpi": under PaliGemma/llm the stacks that have LoRA train their low-rank leaves only (the token embedding counts
    to the VLM's stack); SigLIP and the projections of state, time and actions stay fully trainable.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant={variant}: expected one of {', '.join(VARIANTS)}.")

    def trained(path: str) -> bool:
        if not path.startswith("PaliGemma/llm/") or "lora" in path:
            return True
        is_expert = any(part.endswith("_1") for part in path.split("/"))
        return (config.expert if is_expert else config.vlm).lora is None

    return nest({path: trained(path) for path in leaf_specs(config)})
